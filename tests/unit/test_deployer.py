"""The deployer's command: its exit codes, and what it says."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nightferry import deployer
from nightferry.clients import connect
from nightferry.clients.doors.cluster import Cluster
from nightferry.deployer import doors, housekeeping, releasing
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import Permanent, Temporary
from nightferry.steps.judging.prediction_gates import judged
from nightferry.steps.rollout.gates.compare_releases import Addresses

from tests.fakes.a_diff import a_diff
from tests.fakes.memory.memory_cluster import Behaviour
from tests.fakes.worlds.rollout_world import SPEC, World, image

RELEASE = "digits-2026-11-21.1"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world behind the deployer's doors."""
    world = World()

    def opened(settings: object, namespace: str, guard: Callable[[Cluster], Cluster] = lambda it: it) -> Cluster:
        return guard(world.cluster)

    monkeypatch.setattr(connect, "cluster", opened)
    monkeypatch.setattr(connect, "ledger_store", lambda settings: world.ledger)
    for module in (doors, housekeeping, releasing):
        monkeypatch.setattr(module, "SystemClock", lambda: world.clock)
    monkeypatch.setattr(doors, "ask_version", lambda address: world.ask(where(address)))
    monkeypatch.setattr(doors, "prober", lambda *_: lambda address: world._prepare()(where(address)))
    before = signal.getsignal(signal.SIGTERM)
    yield world
    signal.signal(signal.SIGTERM, before)


def where(address: str) -> str:
    named = {"http://digits-candidate.staging.svc": "candidate", "http://digits.staging.svc": "stable"}
    return named.get(address, address)


def run(command: str, world: World, *words: str) -> int:
    world.plan(RELEASE)  # it is decided on, and its image is published
    return deployer.main([command, "--release", RELEASE, "--environment", "staging", *words])


def test_a_rollout_looks_at_what_users_get(world: World) -> None:
    assert run("roll_out", world) == 0
    assert [entry.reason for entry in world.entries()] == [Reason.ROLLED_OUT, Reason.VERIFIED]
    assert run("verify", world) == 0
    assert world.in_use() == RELEASE


def test_a_rollout_goes_back_by_itself(world: World) -> None:
    world.roll_out("digits-2026-11-20.1")
    world.answers = lambda address, answer: (
        {**answer, "release": "another"} if address == "stable" and answer and answer["release"] == RELEASE else answer
    )
    assert run("roll_out", world) == 2
    assert world.in_use() == "digits-2026-11-20.1"
    assert world.traffic().release == "digits-2026-11-20.1"


def test_a_rollout_that_cannot_look_leaves_the_release_and_is_tried_again(world: World) -> None:
    world.answers = lambda address, answer: None if address == "stable" else answer
    assert run("roll_out", world) == 3
    assert (world.in_use(), world.traffic().verified) == (RELEASE, False)
    world.answers = lambda address, answer: answer
    assert run("roll_out", world) == 0
    assert world.traffic().verified


def test_what_is_not_decided_or_not_published_is_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["roll_out", "--release", RELEASE, "--environment", "staging"]
    assert deployer.main(words) == 2
    assert "release_unknown" in capsys.readouterr().out
    world.decide(RELEASE)
    world.ledger.blobs.popitem()
    assert deployer.main(words) == 2
    assert "result_missing" in capsys.readouterr().out
    assert not world.cluster.objects


def test_a_decision_of_before_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.spec = None
    assert run("roll_out", world) == 2
    assert "decide anew" in capsys.readouterr().out
    assert not world.cluster.objects


def test_the_service_file_counts_as_it_was_when_it_was_decided(world: World) -> None:
    assert run("roll_out", world) == 0
    assert world.cluster.get("Service", "digits")["spec"]["type"] == "NodePort"


def test_permanent_and_temporary_failures_have_their_exit_codes(world: World) -> None:
    world.cluster.behaviours[image(RELEASE)] = Behaviour(crash="boom")
    assert run("roll_out", world) == 2
    world.cluster.fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "no answer")
    assert run("roll_out", world) == 3
    world.cluster.fault = Permanent(Reason.CLUSTER_DENIED, "no rights")
    assert run("verify", world) == 2


def test_an_error_that_nobody_foresaw_ends_in_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.cluster.fault = ZeroDivisionError("by hand")
    assert run("roll_out", world) == 3
    assert "Traceback" not in capsys.readouterr().out


def test_sigterm_clears_up(world: World) -> None:
    def tick(call: str, kind: str) -> None:
        if kind == "Pod":
            world.live()
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(0.01)  # the handler runs at the next line of Python

    world.cluster.before = tick
    assert run("roll_out", world) == 3
    assert world.cluster.names("Deployment") == []
    assert world.entries()[-1].reason == Reason.INTERRUPTED


def test_retire(world: World) -> None:
    for number in (1, 2):
        world.roll_out(f"digits-2026-11-21.{number}", warm_minutes=0)
    assert deployer.main(["retire", "--namespace", "staging", "--service", "digits"]) == 0
    assert world.cluster.get("Deployment", "digits-20261121-1")["spec"]["replicas"] == 0


def test_a_service_whose_file_was_removed_is_retired_too(world: World) -> None:
    for number in (1, 2):
        world.roll_out(f"digits-2026-11-21.{number}", warm_minutes=0)
    assert deployer.main(["retire", "--namespace", "staging"]) == 0
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


def test_a_rollout_with_gates_compares_what_both_services_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.roll_out("digits-2026-11-20.1")
    world.spec = SPEC | {"gates": {"flips": "<= 5%"}}
    asked: list[Addresses] = []

    def compared(plan: RolloutPlan, stable: Any, addresses: Addresses, **_: Any) -> PredictionDiff:
        asked.append(addresses)
        return judged(a_diff(), plan.gates)

    monkeypatch.setattr(doors, "compare_releases", compared)
    monkeypatch.setattr(doors, "read_manifest", lambda folder: (None, b""))
    monkeypatch.setattr(connect, "models", lambda *_: None)
    assert run("roll_out", world) == 2
    assert asked == [Addresses("http://digits.staging.svc", "http://digits-candidate.staging.svc")]
    assert world.in_use() == "digits-2026-11-20.1"
    assert world.entries()[-1].reason == Reason.GATE_FLIPS


def test_a_look_puts_back_what_was_changed_by_hand_for_each_service_it_is_given(world: World) -> None:
    assert run("roll_out", world) == 0
    world.clock.sleep(120)
    deployment = world.cluster.objects[("Deployment", "digits-20261121-1")]
    deployment["spec"]["replicas"] = 5
    words = ["--service", "letters", "--environment", "staging", "--service", "digits", "--environment", "staging"]
    assert deployer.main(["look", *words]) == 2, "the record does not know letters"
    assert world.cluster.objects[("Deployment", "digits-20261121-1")]["spec"]["replicas"] == 1
    assert [entry.reason for entry in world.entries()][-2:] == [Reason.DRIFTED, Reason.HEALED]


def test_a_look_that_is_not_told_where_to_look_changes_nothing(world: World) -> None:
    assert run("roll_out", world) == 0
    before = len(world.ledger.blobs)
    assert deployer.main(["look", "--service", "digits", "--service", "letters", "--environment", "staging"]) == 2
    assert len(world.ledger.blobs) == before
