"""What a gate kept from users is not tried again every night, and what is newer, or asked for by name, is."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.entities.barring.quarantine import Bar, Parts
from nightferry.entities.decision import Decision
from nightferry.entities.fact_key import FactKey
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.entities.state.canary import met
from nightferry.errors import Permanent
from nightferry.steps.record.bar import lift, quarantine, quarantines_of
from nightferry.steps.record.canary_record import CanaryRecord
from nightferry.steps.record.ledger import append
from nightferry.steps.record.record import record_release
from nightferry.steps.record.rollout_record import WITHDRAW, record_order, record_success
from nightferry.steps.record.state import read_state

from tests.fakes.service_specs import digits_spec
from tests.fakes.worlds.blame_world import ENVIRONMENTS, WRONG, BlameWorld
from tests.fakes.worlds.rollout_world import plan


@pytest.fixture
def world(tmp_path: Path) -> BlameWorld:
    return BlameWorld(tmp_path)


def both(world: BlameWorld, broken: object) -> Decision:
    """A night on which model and code are new and their image answers wrongly."""
    world.laboratory.broken = broken  # type: ignore[assignment]
    world.publish("two", created="2026-11-21T12:00:00Z")
    world.commit(b"new")
    return world.night()


def in_use(world: BlameWorld) -> str | None:
    return read_state(world.ledger, "digits").in_use


def test_the_next_night_ships_the_other_one_by_itself(world: BlameWorld) -> None:
    both(world, lambda model, code: model == "two")
    other = world.night()
    assert (other.go, other.reason, other.candidate.model.version) == (True, Reason.NEW_SOURCE, "one")
    assert in_use(world) == other.release
    after = world.night()
    assert (after.go, after.reason) == (False, Reason.QUARANTINED)
    assert "Guilty is model two" in after.sentence, "the night does not say why"


def test_guilty_code_leaves_the_new_model_its_way(world: BlameWorld) -> None:
    both(world, lambda model, code: code == b"new")
    other = world.night()
    assert (other.reason, other.candidate.model.version) == (Reason.NEW_MODEL, "two")
    world.commit(b"new")
    assert world.night().reason == Reason.QUARANTINED, "a commit that leaves the code as it was freed it"
    world.commit(b"newer")
    assert world.night().reason == Reason.NEW_SOURCE


def test_two_that_fail_together_are_not_tried_again_and_the_night_prints_the_command(world: BlameWorld) -> None:
    both(world, lambda model, code: (model, code) == ("two", b"new"))
    again = world.night()
    assert (again.go, again.reason) == (False, Reason.QUARANTINED)
    assert "nightferry release digits --model one" in again.sentence
    world.commit(b"newer")
    newer = world.night()
    assert (newer.go, newer.candidate.model.version) == (True, "two"), "what is newer is not free"


def test_each_by_itself_leaves_nothing_to_ship(world: BlameWorld) -> None:
    both(world, lambda model, code: model == "two" or code == b"new")
    assert quarantines_of(world.ledger, "digits")[0].words == "model two"
    assert world.night().reason == Reason.QUARANTINED
    world.publish("three", created="2026-11-23T12:00:00Z")
    assert (world.night().reason, read_state(world.ledger, "digits").quarantines != ()) == (Reason.NEW_MODEL, True)


@pytest.mark.parametrize("request_", [{"model": "two"}, {"force": True}], ids=["model", "force"])
def test_a_person_has_it_tried_again_and_what_is_right_then_is_free(
    world: BlameWorld, request_: dict[str, object]
) -> None:
    pair = lambda model, code: (model, code) == ("two", b"new")  # noqa: E731
    both(world, pair)
    assert world.night(**request_).go
    assert not world.night().go, "it failed again, and the night tries it all the same"
    world.laboratory.broken = lambda model, code: False
    asked = world.night(**request_)
    assert in_use(world) == asked.release
    if "model" in request_:
        assert quarantines_of(world.ledger, "digits") == ()
    assert world.night().reason == Reason.UNCHANGED


def test_a_failed_step_that_is_cleared_and_then_right_bars_nothing(world: BlameWorld) -> None:
    failed = both(world, lambda model, code: model == "two")
    assert quarantines_of(world.ledger, "digits")
    world.laboratory.broken = lambda model, code: False
    world.release(failed)
    assert (in_use(world), quarantines_of(world.ledger, "digits")) == (failed.release, ())


def test_a_gate_that_was_changed_frees_what_its_figures_barred(world: BlameWorld) -> None:
    world.publish("two", created="2026-11-21T12:00:00Z")
    decision = world.decide("run:two")
    world.blame(decision, world.fail(decision, "check_model", Reason.GATE_FAILED))
    assert world.night().reason == Reason.QUARANTINED
    world.spec = digits_spec(gates={"accuracy": ">= 0.9", "flips": "<= 5%"})
    freed = world.night()
    assert (freed.go, freed.candidate.model.version) == (True, "two")


def test_what_users_met_is_barred_for_those_who_name_it_too(world: BlameWorld) -> None:
    decision = world.both_new()
    told = {"environment": "production", "release": decision.release, "previous": ""}
    append(
        world.ledger,
        world.clock,
        service="digits",
        kind=Kind.ROLLOUT,
        key=str(FactKey(str(decision.release), "production.roll_out")),
        release=decision.release,
        actor="ana",
        reason=Reason.ROLLED_OUT,
        sentence="",
        data=told,
    )
    world.laboratory.broken = lambda model, code: model == "two"
    world.blame(decision, world.fail(decision, "production.verify", Reason.VERIFY_GOLDEN_WRONG))
    (barred,) = quarantines_of(world.ledger, "digits")
    assert (barred.unseen, barred.words) == (False, "model two")


def test_lifted_it_is_tried_again(world: BlameWorld) -> None:
    both(world, lambda model, code: (model, code) == ("two", b"new"))
    (barred,) = quarantines_of(world.ledger, "digits")
    lift(world.ledger, world.clock, "digits", barred.number, why="the test was wrong", actor="ben")
    assert world.night().go


def test_a_persons_quarantine_counts_beside_that_of_a_gate(world: BlameWorld) -> None:
    both(world, lambda model, code: model == "two")
    bad = next(one for one in quarantines_of(world.ledger, "digits"))
    bar = Bar(parts=Parts(model=bad.parts.model), words="model two")
    quarantine(world.ledger, world.clock, "digits", bar, why="poisoned", actor="ana")
    assert world.night(model="two").reason == Reason.QUARANTINED


def test_after_a_canary_that_was_taken_back_both_words_agree(world: BlameWorld) -> None:
    """What users met bars the pair; the guilty one that is found afterwards is barred alone, and the ending says it."""
    world.publish("two", created="2026-11-21T12:00:00Z")
    world.commit(b"new")
    decision = world.decide("run:both")
    order = read_state(world.ledger, "digits").decided[str(decision.release)]
    canary = plan(str(decision.release), order, name="production", namespace="production")
    leg = CanaryRecord(world.ledger, world.clock, canary).begin(None, 1, 10, 600, 1)
    why = Permanent(Reason.VERIFY_GOLDEN_WRONG, WRONG)
    in_use = str(decision.in_use)
    record_order(world.ledger, world.clock, canary, why, in_use, met(leg, 5, 60))
    record_success(world.ledger, world.clock, canary, WITHDRAW, "It was removed.", {"to": in_use})
    failure = world.fail(decision, "production.roll_out", Reason.VERIFY_GOLDEN_WRONG)
    world.laboratory.broken = lambda model, code: model == "two"
    blame = world.blame(decision, failure)
    barred = read_state(world.ledger, "digits").quarantines
    assert [set(one.parts.named()) for one in barred] == [{"model", "tree"}, {"model"}]
    assert not any(one.unseen for one in barred), "users met it"
    ending = record_release(world.ledger, world.clock, decision, ENVIRONMENTS)
    assert ending
    assert ending.reason == Reason.VERIFY_GOLDEN_WRONG
    assert blame.commands[0] in ending.sentence
    night = world.night()
    assert night.candidate.model.version == "one", "the code alone"
    assert read_state(world.ledger, "digits").in_use == night.release
