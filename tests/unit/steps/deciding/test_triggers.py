"""Fifty ask for one service at once: one release is active, and what became of each of them is on the record."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from nightferry.cli.releasing.request import note_joined, start
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary
from nightferry.steps.record.ledger import Chain, verify
from nightferry.steps.record.state import read_state

from tests.fakes.memory.memory_airflow import MemoryAirflow
from tests.fakes.worlds.deciding_world import DecidingWorld


@pytest.fixture
def world(tmp_path: Path) -> DecidingWorld:
    return DecidingWorld(tmp_path)


@pytest.fixture
def airflow() -> MemoryAirflow:
    fake = MemoryAirflow()
    fake.dags["release_digits"] = False
    return fake


def ask(world: DecidingWorld, airflow: MemoryAirflow, request_id: str | None = None) -> bool:
    """What `nightferry release digits` does; whether a run was started."""
    started = start(airflow, world.ledger, world.spec, ReleaseRequest(), world.clock, request_id)
    assert note_joined(world.ledger, world.spec, started, world.clock, request_id) == ""
    return started.new


def triggers(world: DecidingWorld) -> list[LedgerEntry]:
    return [one for one in reversed(list(Chain(world.ledger, "digits"))) if one.kind in (Kind.DECISION, Kind.TRIGGER)]


def test_fifty_at_once_are_all_on_the_record_and_one_is_active(world: DecidingWorld, airflow: MemoryAirflow) -> None:
    barrier, new = threading.Barrier(25), []

    def by_command() -> None:
        barrier.wait()
        new.append(ask(world, airflow))

    threads = [threading.Thread(target=by_command) for _ in range(25)]
    for thread in threads:
        thread.start()
    for number in range(24):
        airflow.trigger("release_digits", f"manual__{number}", {})
    for thread in threads:
        thread.join()
    assert Counter(new) == {True: 1, False: 24}, "the same request is one run"
    active: list[str | None] = []
    for run in list(airflow.runs):  # as Airflow does with max_active_runs=1
        way = "command" if run.startswith("request-") else "airflow"
        decision = world.decide(f"run:{run}", way=way)
        active.append(read_state(world.ledger, "digits").open)
        if decision.go:
            world.release(decision)
    world.decide("slot:2026-11-21T01:00Z", slot=world.clock.now(), way="timetable")
    said = triggers(world)
    assert Counter(one.reason for one in said) == {Reason.FIRST_RELEASE: 1, Reason.UNCHANGED: 25, Reason.JOINED: 24}
    assert Counter((one.data["trigger"], one.data["way"]) for one in said) == {
        ("person", "command"): 25,
        ("person", "airflow"): 24,
        ("schedule", "timetable"): 1,
    }
    assert all(one.actor for one in said)
    assert Counter(active) == {active[0]: 1, None: 24}
    assert verify(world.ledger, "digits").count == len(list(Chain(world.ledger, "digits")))


def test_who_names_a_run_and_watches_it_again_is_written_down_once(
    world: DecidingWorld, airflow: MemoryAirflow
) -> None:
    assert ask(world, airflow, "mine")
    for _ in range(3):
        assert not ask(world, airflow, "mine")
    assert [one.reason for one in triggers(world)] == [Reason.JOINED]


def test_who_cannot_write_the_record_is_told_and_joins_all_the_same(
    world: DecidingWorld, airflow: MemoryAirflow
) -> None:
    ask(world, airflow)
    started = start(airflow, world.ledger, world.spec, ReleaseRequest(), world.clock, None)
    world.ledger.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "Blob storage does not answer.")
    assert "Blob storage does not answer" in note_joined(world.ledger, world.spec, started, world.clock, None)


def test_joining_changes_nothing_of_what_is_decided(world: DecidingWorld, airflow: MemoryAirflow) -> None:
    ask(world, airflow)
    before = read_state(world.ledger, "digits").model_dump(exclude={"sequence", "digest"})
    ask(world, airflow)
    assert triggers(world)[-1].kind == Kind.TRIGGER
    assert read_state(world.ledger, "digits").model_dump(exclude={"sequence", "digest"}) == before


def test_a_failed_decision_says_who_asked_too(world: DecidingWorld) -> None:
    with pytest.raises(Exception, match=r"no model|version"):
        world.decide("run:request-1", model="unknown")
    assert SimpleNamespace(**triggers(world)[-1].data).trigger == "person"
