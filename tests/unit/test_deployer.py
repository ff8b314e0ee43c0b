"""The deployer's command: its exit codes, and what it says."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from nightferry import deployer
from nightferry.clients import connect
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

from tests.fakes.memory_cluster import Behaviour
from tests.fakes.rollout_world import World, image, plan

RELEASE = "digits-2026-11-21.1"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world behind the deployer's doors."""
    world = World()
    monkeypatch.setattr(connect, "cluster", lambda settings, namespace: world.cluster)
    monkeypatch.setattr(connect, "ledger_store", lambda settings: world.ledger)
    monkeypatch.setattr(deployer, "SystemClock", lambda: world.clock)
    monkeypatch.setattr(deployer, "ask_version", lambda address: world.ask(where(address)))
    monkeypatch.setattr(deployer, "_prober", lambda *_: lambda address: world._prepare()(where(address)))
    before = signal.getsignal(signal.SIGTERM)
    yield world
    signal.signal(signal.SIGTERM, before)


def where(address: str) -> str:
    named = {"http://digits-preview.staging.svc": "preview", "http://digits.staging.svc": "stable"}
    return named.get(address, address)


def run(command: str, *words: str, **changes: Any) -> int:
    return deployer.main([command, "--plan", plan(RELEASE, **changes).model_dump_json(), *words])


def test_a_rollout_and_its_verification(world: World) -> None:
    assert run("roll_out") == 0
    assert run("verify") == 0
    assert world.in_use() == RELEASE


def test_a_rollout_that_verifies_too(world: World) -> None:
    assert run("roll_out", "--verify") == 0
    assert [entry.reason for entry in world.entries()] == [Reason.ROLLED_OUT, Reason.VERIFIED]


def test_a_rollout_leaves_what_is_not_right_to_the_verification(world: World) -> None:
    world.answers = lambda address, answer: None if address == "stable" else answer
    assert run("roll_out", "--verify") == 0
    assert [entry.reason for entry in world.entries()] == [Reason.ROLLED_OUT]
    assert world.in_use() == RELEASE
    assert run("verify") == 3


def test_the_kind_of_service_comes_from_the_settings_where_the_plan_says_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTFERRY_SERVICE_TYPE", "ClusterIP")
    assert run("roll_out", service_type=None) == 0
    assert world.cluster.get("Service", "digits")["spec"]["type"] == "ClusterIP"


def test_permanent_and_temporary_failures_have_their_exit_codes(world: World) -> None:
    world.cluster.behaviours[image(RELEASE)] = Behaviour(crash="boom")
    assert run("roll_out") == 2
    world.cluster.fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "no answer")
    assert run("roll_out") == 3
    world.cluster.fault = Permanent(Reason.CLUSTER_DENIED, "no rights")
    assert run("verify") == 2


def test_a_plan_that_is_none(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert deployer.main(["roll_out", "--plan", '{"service": "digits", "extra": 1}']) == 2
    assert deployer.main(["roll_out", "--plan", "no json"]) == 2
    assert not world.cluster.objects


def test_an_error_that_nobody_foresaw_ends_in_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.cluster.fault = ZeroDivisionError("by hand")
    assert run("roll_out") == 3
    assert "Traceback" not in capsys.readouterr().out


def test_sigterm_clears_up(world: World) -> None:
    def tick(call: str, kind: str) -> None:
        if kind == "Pod":
            world.live()
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(0.01)  # the handler runs at the next line of Python

    world.cluster.before = tick
    assert run("roll_out") == 3
    assert world.cluster.names("Deployment") == []
    assert world.entries()[-1].reason == Reason.INTERRUPTED


def test_retire(world: World) -> None:
    for number in (1, 2):
        world.roll_out(f"digits-2026-11-21.{number}", warm_minutes=0)
    assert deployer.main(["retire", "--namespace", "staging", "--service", "digits"]) == 0
    assert world.cluster.get("Deployment", "digits-20261121-1")["spec"]["replicas"] == 0


def test_one_service_that_cannot_be_retired_does_not_keep_the_others(world: World) -> None:
    world.cluster.create({"kind": "Service", "metadata": {"name": "alien"}, "spec": {"selector": {}, "ports": [{}]}})
    for number in (1, 2):
        world.roll_out(f"digits-2026-11-21.{number}", warm_minutes=0)
    words = ["retire", "--namespace", "staging", "--service", "alien", "--service", "digits"]
    assert deployer.main(words) == 2
    assert world.cluster.get("Deployment", "digits-20261121-1")["spec"]["replicas"] == 0


def test_the_prober_tells_in_one_line_what_it_found(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = {
        "format": "onnx",
        "service": "digits",
        "version": "v1",
        "created": "2026-11-20T00:00:00Z",
        "author": "tests",
        "files": [{"name": "model.onnx", "size": 1, "sha256": "0" * 64}],
        "model": "model.onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
    }
    (tmp_path / "model.json").write_text(json.dumps(manifest))
    words = ["probe", "--model", str(tmp_path), "--address", "http://127.0.0.1:9", "--ready-seconds", "0"]
    assert deployer.main(words) == 12
    (line,) = capsys.readouterr().out.splitlines()
    assert [fault["kind"] for fault in json.loads(line)["faults"]] == ["start"]


def test_a_prober_without_a_model(tmp_path: Any) -> None:
    assert deployer.main(["probe", "--model", str(tmp_path)]) == 2
