"""`nightferry drift`: it looks, says what differs, and writes nothing unless that is asked for."""

from __future__ import annotations

import json

import pytest
from nightferry.cli import main
from nightferry.clients import connect
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary
from nightferry.manifests import names
from nightferry.steps.record.state import read_state

from tests.fakes.worlds.rollout_world import World, image

RELEASE = "digits-2026-11-21.1"
DEPLOYMENT = ("Deployment", names.object_name(RELEASE))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, services: object) -> World:
    """Production serves a release, for some time."""
    world = World()
    world.roll_out(RELEASE, name="production", namespace="production")
    world.verify(RELEASE, name="production", namespace="production")
    world.clock.sleep(120)
    monkeypatch.setattr(connect, "ledger_store", lambda settings: world.ledger)
    monkeypatch.setattr(connect, "cluster", lambda settings, namespace, cluster: world.cluster)
    monkeypatch.setattr("nightferry.cli.control.drift.SystemClock", lambda: world.clock)
    return world


def edit(world: World) -> None:
    world.cluster.objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"][0]["image"] = image("other")


def test_where_all_is_as_recorded_it_ends_well(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift", "digits"]) == 0
    assert f"production of digits runs {RELEASE} as the record says" in capsys.readouterr().out


def test_what_differs_is_said_and_not_written(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    edit(world)
    before = len(world.ledger.blobs)
    assert main(["drift", "digits"]) == 1
    assert image("other") in capsys.readouterr().out
    assert main(["drift", "digits", "--environment", "production", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["environment"], row["release"], row["under_way"]) == ("production", RELEASE, "")
    assert [(one["what"], one["found"]) for one in row["drift"]] == [("image", image("other"))]
    assert len(world.ledger.blobs) == before


def test_it_is_written_once_where_that_is_asked_for(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    edit(world)
    for _ in range(2):
        assert main(["drift", "digits", "--record", "--by", "ana"]) == 1
    (entry,) = [entry for entry in world.entries() if entry.reason == Reason.DRIFTED]
    assert (entry.actor, entry.release) == ("ana", RELEASE)
    capsys.readouterr()
    assert main(["show", RELEASE]) == 0
    assert "; drift since 2026" in capsys.readouterr().out
    assert main(["show", RELEASE, "--json"]) == 0
    assert [one["what"] for one in json.loads(capsys.readouterr().out)["drift"]["production"]] == ["image"]
    assert main(["history", "digits"]) == 0
    assert "production (drift)" in capsys.readouterr().out


@pytest.mark.parametrize("part", ["cluster", "ledger"])
def test_where_it_could_not_look_it_says_so(world: World, capsys: pytest.CaptureFixture[str], part: str) -> None:
    edit(world)
    getattr(world, part).fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "The cluster is away.")
    assert main(["drift", "digits", "--record", "--by", "ana"]) == 3
    assert "The cluster is away." in capsys.readouterr().err
    getattr(world, part).fault = None
    assert read_state(world.ledger, "digits").drifts == {}


def test_while_traffic_is_moved_nothing_is_judged(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    edit(world)
    world.clock.sleep(-90)
    assert main(["drift", "digits", "--record", "--by", "ana"]) == 0
    assert "not judged now" in capsys.readouterr().out
    assert read_state(world.ledger, "digits").drifts == {}


@pytest.mark.parametrize("words", [["digist"], ["digits", "--environment", "staging"]])
def test_bad_input_is_one_sentence(world: World, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(["drift", *words]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
