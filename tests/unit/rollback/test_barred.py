"""What people and wrong answers bar from release stays unreleased, and what is newer is free."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from nightferry.entities.barring.hold import EVERYTHING
from nightferry.entities.barring.quarantine import Bar, Parts
from nightferry.entities.decision import Decision
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record.bar import hold, holds_of, lift, quarantine, quarantines_of, resume
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.rollback_record import RollbackFacts, record_rollback, record_rolled_back
from nightferry.steps.record.state import read_state

from tests.fakes.worlds.deciding_world import DecidingWorld

NIGHT = dt.timedelta(days=1)


@pytest.fixture
def world(tmp_path: Path) -> DecidingWorld:
    """Model one is in use, released a day ago."""
    world = DecidingWorld(tmp_path)
    night(world)
    return world


def night(world: DecidingWorld, **request: object) -> Decision:
    """Decide, and where there is a release let it succeed; then a day passes."""
    decision = world.decide(f"run:{world.clock.now()}", **request)
    if decision.release:
        world.release(decision)
    world.clock.advance(NIGHT.total_seconds())
    return decision


def roll_back(world: DecidingWorld, left: Decision, to: Decision) -> None:
    """What the deployer writes down when a person rolls back."""
    facts = RollbackFacts("digits", "production", "production", str(left.release), str(to.release), "wrong", "ben")
    order = record_rollback(world.ledger, world.clock, facts)
    record_rolled_back(world.ledger, world.clock, facts, order)


def two_released(world: DecidingWorld) -> tuple[Decision, Decision]:
    one = first(world)
    world.publish("two", created="2026-11-21T12:00:00Z")
    return one, night(world)


def commit(world: DecidingWorld, app: bytes, readme: bytes = b"") -> None:
    """Push code."""
    files = {"serving_app/app.py": app, "tests/serving_app/test_app.py": b"", "README.md": readme}
    world.source.commit("main", files)


def first(world: DecidingWorld) -> Decision:
    """The decision of the first release."""
    return Decision.model_validate(release_entries(world.ledger, "digits-2026-11-21.1")[0].data)


def test_what_was_rolled_back_is_not_shipped_again_and_the_night_says_why(world: DecidingWorld) -> None:
    one, two = two_released(world)
    roll_back(world, two, one)
    decision = night(world)
    assert (decision.go, decision.reason) == (False, Reason.QUARANTINED)
    assert "Model two is quarantined" in decision.sentence
    assert read_state(world.ledger, "digits").in_use == one.release


def test_newer_code_ships_without_the_barred_model(world: DecidingWorld) -> None:
    one, two = two_released(world)
    roll_back(world, two, one)
    commit(world, b"better")
    decision = night(world)
    assert (decision.go, decision.reason, decision.candidate.model.version) == (True, Reason.NEW_SOURCE, "one")


def test_a_newer_model_is_free(world: DecidingWorld) -> None:
    one, two = two_released(world)
    roll_back(world, two, one)
    world.publish("three", created="2026-11-22T12:00:00Z")
    decision = night(world)
    assert (decision.go, decision.candidate.model.version) == (True, "three")


def test_code_that_was_left_is_not_freed_by_a_commit_that_leaves_it_as_it_was(world: DecidingWorld) -> None:
    one = first(world)
    commit(world, b"leaks")
    two = night(world)
    roll_back(world, two, one)
    commit(world, b"leaks", readme=b"more words")
    assert night(world).reason == Reason.QUARANTINED
    world.publish("two", created="2026-11-22T12:00:00Z")
    decision = night(world)
    assert (decision.go, decision.candidate.source.tree) == (True, one.candidate.source.tree)


def test_code_and_model_together_are_barred_together(world: DecidingWorld) -> None:
    one = first(world)
    commit(world, b"new")
    world.publish("two", created="2026-11-21T12:00:00Z")
    two = night(world)
    roll_back(world, two, one)
    assert night(world).reason == Reason.QUARANTINED
    commit(world, b"newer")
    decision = night(world)
    assert (decision.go, decision.candidate.model.version) == (True, "two")


def test_asking_for_what_is_barred_by_its_name_does_not_release_it(world: DecidingWorld) -> None:
    one, two = two_released(world)
    roll_back(world, two, one)
    decision = night(world, model="two")
    assert (decision.go, decision.reason) == (False, Reason.QUARANTINED)
    assert "nightferry quarantine lift digits" in decision.sentence
    assert not night(world, model="two", force=True).go


def test_what_was_lifted_is_released(world: DecidingWorld) -> None:
    one, two = two_released(world)
    roll_back(world, two, one)
    (barred,) = quarantines_of(world.ledger, "digits")
    lift(world.ledger, world.clock, "digits", barred.number, why="it was the cable", actor="ben")
    assert night(world).candidate.model.version == "two"
    with pytest.raises(Permanent, match="has no quarantine"):
        lift(world.ledger, world.clock, "digits", barred.number, why="again", actor="ben")


def test_the_night_does_not_undo_what_a_person_asked_for(world: DecidingWorld) -> None:
    two_released(world)
    assert night(world, model="one").go
    decision = night(world)
    assert (decision.go, decision.reason) == (False, Reason.QUARANTINED)
    assert read_state(world.ledger, "digits").in_use is not None
    world.publish("three", created="2026-11-24T12:00:00Z")
    assert night(world).candidate.model.version == "three", "what is newer than the choice is free"


def test_a_choice_that_never_reached_users_bars_nothing(world: DecidingWorld) -> None:
    two_released(world)
    world.decide("run:by hand", model="one")  # and its gate fails
    world.clock.advance(NIGHT.total_seconds())
    assert night(world).reason == Reason.UNCHANGED
    assert quarantines_of(world.ledger, "digits") == ()


def test_who_changes_his_mind_asks_for_it_by_its_name(world: DecidingWorld) -> None:
    two_released(world)
    night(world, model="one")
    assert night(world, model="two").go
    assert quarantines_of(world.ledger, "digits") == ()
    assert night(world).reason == Reason.UNCHANGED


def test_the_same_is_barred_once(world: DecidingWorld) -> None:
    bar = Bar(parts=Parts(model="f" * 64), words="model bad")
    barred = quarantine(world.ledger, world.clock, "digits", bar, why="x", actor="ana")
    assert quarantine(world.ledger, world.clock, "digits", bar, why="y", actor="ben") == barred


def test_a_model_in_use_that_is_barred_stays_in_use_and_goes_into_no_new_release(world: DecidingWorld) -> None:
    one = first(world)
    bar = Bar(parts=Parts(model=one.candidate.model.sha256), words="model one")
    quarantine(world.ledger, world.clock, "digits", bar, why="poisoned", actor="ana")
    assert night(world).reason == Reason.UNCHANGED
    commit(world, b"new")
    assert night(world).reason == Reason.QUARANTINED


def test_held_nothing_is_released_whoever_asks(world: DecidingWorld) -> None:
    world.publish("two", created="2026-11-21T12:00:00Z")
    entry = hold(world.ledger, world.clock, "digits", why="big match", actor="ben")
    for request in ({}, {"force": True}, {"model": "two"}):
        decision = night(world, **request)
        assert (decision.go, decision.reason) == (False, Reason.HELD)
        assert "ben: big match" in decision.sentence
    resume(world.ledger, world.clock, "digits", numbers=[entry.sequence], why="", actor="ana")
    assert night(world).go


def test_a_hold_ends_by_itself(world: DecidingWorld) -> None:
    world.publish("two", created="2026-11-21T12:00:00Z")
    until = world.clock.now() + NIGHT * 1.5
    hold(world.ledger, world.clock, "digits", why="x", actor="ben", until=until)
    assert [night(world).go for _ in range(3)] == [False, False, True]
    assert holds_of(world.ledger, "digits", world.clock) == []


def test_everything_is_held_beside_holds_of_services(world: DecidingWorld) -> None:
    world.publish("two", created="2026-11-21T12:00:00Z")
    one = hold(world.ledger, world.clock, EVERYTHING, why="the data centre moves", actor="ben")
    two = hold(world.ledger, world.clock, "digits", why="x", actor="ana")
    assert "Everything is held by ben" in night(world).sentence
    resume(world.ledger, world.clock, "digits", numbers=[two.sequence], why="", actor="ana")
    assert night(world).reason == Reason.HELD
    resume(world.ledger, world.clock, EVERYTHING, numbers=[one.sequence], why="", actor="ana")
    assert night(world).go


def test_a_hold_that_would_have_ended_is_refused(world: DecidingWorld) -> None:
    with pytest.raises(Permanent, match="ended already"):
        hold(world.ledger, world.clock, "digits", why="x", actor="ben", until=world.clock.now())
