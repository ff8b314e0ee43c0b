"""What waits is a state of the record: it goes on when somebody asks, and something newer takes its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.entities.decision import Decision
from nightferry.entities.fact_key import FactKey
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.triggers import Triggers
from nightferry.entities.state.service_state import ServiceState
from nightferry.entities.trigger import Cause
from nightferry.errors import Permanent, Temporary
from nightferry.steps.admission.admission import Admission, Stay
from nightferry.steps.admission.admit import admit
from nightferry.steps.admission.holders import HOLDERS
from nightferry.steps.record.bar import hold, resume
from nightferry.steps.record.canary_record import CanaryRecord
from nightferry.steps.record.close_release import Ended, Failure, close_left_open, close_release
from nightferry.steps.record.drop_release import drop
from nightferry.steps.record.history import history, release_entries
from nightferry.steps.record.record import record_step
from nightferry.steps.record.rollback_record import RollbackFacts, record_rollback, record_rolled_back
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.read_plan import read_plan

from tests.fakes.a_release import ENVIRONMENTS, IMAGE, walked
from tests.fakes.worlds.deciding_world import DecidingWorld

SHUT = Stay("frozen", "The year ends.", until="2026-11-24T00:00:00Z")


@pytest.fixture
def world(tmp_path: Path) -> DecidingWorld:
    return DecidingWorld(tmp_path)


def state(world: DecidingWorld) -> ServiceState:
    return read_state(world.ledger, "digits")


def publish_image(world: DecidingWorld, decision: Decision) -> None:
    record_step(world.ledger, world.clock, decision, "publish_image", sentence="Published.", data={"image": IMAGE})


def wait(world: DecidingWorld, decision: Decision, stay: Stay = SHUT, environment: str = "production") -> Stay | None:
    """Build the release, if that is not done, and let `stay` keep it."""
    publish_image(world, decision)
    return admit(decision, environment, world.spec, [lambda _: stay], ledger=world.ledger, clock=world.clock)


def close(world: DecidingWorld, decision: Decision) -> None:
    """What the task `record` does at the end of a run whose rollouts were skipped."""
    ended = [Ended(f"{name}.{step}", begun=False) for name in ENVIRONMENTS for step in ("roll_out", "verify")]
    close_release(decision=decision, spec=world.spec, ended=ended, ledger=world.ledger, clock=world.clock)


def told(world: DecidingWorld) -> dict[str | None, str]:
    """Each release's ending, or what it waits for."""
    return {line.release: line.waits or line.outcome or "" for line in history(world.ledger, "digits")}


def published(world: DecidingWorld, key: str = "run:one") -> Decision:
    """A release that was asked for until it is published, and waits now."""
    decision = world.decide(key, until="published")
    publish_image(world, decision)
    assert admit(decision, "staging", world.spec, HOLDERS, ledger=world.ledger, clock=world.clock) is not None
    close(world, decision)
    return decision


def test_what_waits_is_not_closed_by_its_run_nor_by_the_next(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    wait(world, first)
    close(world, first)
    close_left_open(spec=world.spec, key="run:two", ledger=world.ledger, clock=world.clock)

    waiting = state(world).waiting
    assert waiting is not None
    assert (waiting.release, waiting.environment, waiting.reason) == (first.release, "production", "frozen")
    assert waiting.until == SHUT.until
    assert told(world) == {first.release: "frozen"}


def test_asked_again_while_nothing_changes_it_is_written_once(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    for _ in range(3):
        wait(world, first)
    assert [one.kind for one in release_entries(world.ledger, str(first.release))].count(Kind.WAITING) == 1
    wait(world, first, Stay("awaits_approval", "Two have to say yes."))
    waiting = state(world).waiting
    assert waiting is not None
    assert waiting.reason == "awaits_approval"


def test_it_goes_on_with_its_own_decision_and_image(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    wait(world, first)
    world.publish("two", created="2026-11-20T12:00:00Z")

    again = world.decide("run:resume", resume=str(first.release))

    assert again.go
    assert (again.release, again.candidate, again.image) == (first.release, first.candidate, IMAGE)
    assert state(world).waiting is None
    assert state(world).open == first.release
    assert world.decide("run:resume", resume=str(first.release)) == again, "done again, it said something else"


def test_two_that_ask_to_go_on_are_one(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    wait(world, first)
    assert world.decide("run:resume-1", resume=str(first.release)).go
    second = world.decide("run:resume-2", resume=str(first.release))
    assert (second.go, second.release, second.reason) == (False, None, Reason.NOT_WAITING)


def test_a_run_that_goes_on_is_closed_when_it_is_stopped_but_not_by_itself(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    wait(world, first)
    world.decide("run:resume", resume=str(first.release))
    close_left_open(spec=world.spec, key="run:resume", ledger=world.ledger, clock=world.clock)
    assert told(world)[first.release] == "", "a retried decide closed its own release"
    close_left_open(spec=world.spec, key="run:three", ledger=world.ledger, clock=world.clock)
    assert told(world)[first.release] == Reason.INTERRUPTED


def test_what_fails_anew_when_it_goes_on_is_named_at_its_end(world: DecidingWorld) -> None:
    """Staging was taken back from it meanwhile, so it goes to staging anew, and is refused there."""
    first = world.decide("run:one")
    for step in ("staging.roll_out", "staging.verify"):
        record_step(world.ledger, world.clock, first, step, sentence="Done.")
    wait(world, first)
    again = world.decide("run:resume", resume=str(first.release))
    error = Permanent(Reason.ROLLOUT_SUPERSEDED, "Staging was sent to another one.")
    failed = [Ended("staging.roll_out", begun=True, failure=_failure(error))]
    close_release(decision=again, spec=world.spec, ended=failed, ledger=world.ledger, clock=world.clock)
    assert told(world) == {first.release: Reason.ROLLOUT_SUPERSEDED}


def test_the_next_night_of_the_same_leaves_it_waiting(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    wait(world, first)
    close(world, first)
    night = world.decide("slot:2026-11-22T01:00Z", slot=world.clock.now())
    assert (night.go, night.reason) == (False, Reason.WAITING)
    waiting = state(world).waiting
    assert waiting is not None
    assert waiting.release == first.release
    assert world.decide("run:forced", force=True).go, "who insists gets a release of their own"


def test_something_newer_takes_its_place_only_when_it_has_come_as_far(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    wait(world, first)
    close(world, first)
    world.publish("two", created="2026-11-20T12:00:00Z")
    second = world.decide("slot:2026-11-22T01:00Z", slot=world.clock.now())

    assert second.go, "a release that waits held up the night"
    waiting = state(world).waiting
    assert waiting is not None
    assert waiting.release == first.release, "it was given up before the newer one was worth anything"

    wait(world, second)
    close(world, second)
    assert told(world) == {first.release: Reason.SUPERSEDED, second.release: "frozen"}
    assert not world.decide("run:late", resume=str(first.release)).go


def test_what_is_in_use_meanwhile_ends_the_wait(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    wait(world, first)
    world.publish("two", created="2026-11-20T12:00:00Z")
    second = world.decide("run:two")
    world.release(second)
    late = world.decide("run:late", resume=str(first.release))
    assert (late.go, late.reason) == (False, Reason.NOT_WAITING)
    assert told(world)[second.release] == Reason.RELEASED


def test_what_is_in_use_meanwhile_closes_what_waited_before_it(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    wait(world, first)
    close(world, first)
    world.publish("two", created="2026-11-20T12:00:00Z")
    second = world.decide("run:two")
    walked(world.ledger, world.clock, second)
    close(world, second)
    assert told(world) == {first.release: Reason.SUPERSEDED, second.release: Reason.RELEASED}
    assert state(world).waiting is None


def test_what_a_rollback_passed_over_is_closed_by_the_next_decision(world: DecidingWorld) -> None:
    old = world.decide("run:old")
    world.release(old)
    world.publish("two", created="2026-11-20T12:00:00Z")
    bad = world.decide("run:bad")
    world.release(bad)
    world.publish("three", created="2026-11-20T13:00:00Z")
    third = world.decide("run:three")
    wait(world, third)
    close(world, third)
    facts = RollbackFacts(
        service="digits",
        environment="production",
        namespace="production",
        left=str(bad.release),
        to=str(old.release),
        why="slow",
        actor="rita",
    )
    record_rolled_back(world.ledger, world.clock, facts, record_rollback(world.ledger, world.clock, facts))
    assert state(world).superseded

    close_left_open(spec=world.spec, key="run:next", ledger=world.ledger, clock=world.clock)

    assert told(world)[third.release] == Reason.SUPERSEDED
    assert state(world).waiting is None


def test_one_that_comes_late_to_its_wait_ends_there(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    world.publish("two", created="2026-11-20T12:00:00Z")
    second = world.decide("run:two")
    wait(world, second)
    wait(world, first)
    close(world, first)
    assert told(world) == {first.release: Reason.SUPERSEDED, second.release: "frozen"}


def test_dropped_it_ends_with_that_reason_once(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    wait(world, first)
    for _ in range(2):
        drop(world.ledger, world.clock, first, "production", reason="declined", sentence="Bert says no.", actor="bert")
        close(world, first)
    assert told(world) == {first.release: "declined"}
    assert state(world).waiting is None
    endings = [one for one in release_entries(world.ledger, str(first.release)) if one.kind == Kind.RELEASE]
    assert len(endings) == 1


def test_who_asks_goes_on_with_what_is_published_and_nothing_is_built_again(world: DecidingWorld) -> None:
    first = published(world)
    assert told(world) == {first.release: "published"}
    again = world.decide("run:two")
    assert (again.release, again.image, again.continued) == (first.release, IMAGE, True)
    assert admit(again, "staging", world.spec, HOLDERS, ledger=world.ledger, clock=world.clock) is None


def test_asked_for_no_more_than_the_image_that_is_there_it_says_so(world: DecidingWorld) -> None:
    published(world)
    again = world.decide("run:two", until="published")
    assert (again.go, again.reason) == (False, Reason.WAITING)


def test_the_schedule_ships_what_was_built_by_day_and_names_what_is_not_ready(world: DecidingWorld) -> None:
    world.spec = world.spec.model_copy(update={"triggers": Triggers(model="build")})
    first = published(world)
    world.publish("two", created="2026-11-20T12:00:00Z")
    bad = world.decide("run:bad", until="published")
    error = Permanent(Reason.IMAGE_TESTS_FAILED, "A test failed.")
    close_release(
        decision=bad,
        spec=world.spec,
        ended=[Ended("test_source", begun=True, failure=_failure(error))],
        ledger=world.ledger,
        clock=world.clock,
    )

    night = world.decide("slot:2026-11-22T01:00Z", slot=world.clock.now())

    assert (night.release, night.image) == (first.release, IMAGE)
    said = world.newest()
    assert said.reason == Reason.CONTINUED
    assert "model two" in said.sentence
    assert "A test failed" in said.sentence


def test_without_such_a_trigger_the_schedule_builds_what_is_newest(world: DecidingWorld) -> None:
    first = published(world)
    world.publish("two", created="2026-11-20T12:00:00Z")
    night = world.decide("slot:2026-11-22T01:00Z", slot=world.clock.now())
    assert night.go
    assert night.release != first.release
    assert night.candidate.model.version == "two"


def test_with_other_settings_it_is_decided_anew(world: DecidingWorld) -> None:
    first = published(world)
    production = world.spec.environments[-1].model_copy(update={"replicas": 5})
    world.spec = world.spec.model_copy(update={"environments": (world.spec.environments[0], production)})
    again = world.decide("run:two")
    assert again.go
    assert again.release != first.release


def test_what_waited_does_not_go_on_into_a_hold_and_says_when_it_may(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    wait(world, first)
    entry = hold(world.ledger, world.clock, "digits", why="the line is hot", actor="rita", until=None)
    again = world.decide("run:resume", resume=str(first.release))
    stay = admit(again, "production", world.spec, HOLDERS, ledger=world.ledger, clock=world.clock)
    assert stay is not None
    assert stay.reason == Reason.HELD
    waiting = state(world).waiting
    assert waiting is not None
    assert waiting.reason == Reason.HELD

    resume(world.ledger, world.clock, "digits", numbers=[entry.sequence], why="", actor="rita")
    again = world.decide("run:resume-2", resume=str(first.release))
    assert admit(again, "production", world.spec, HOLDERS, ledger=world.ledger, clock=world.clock) is None


def test_a_hold_does_not_stop_what_is_under_way(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    publish_image(world, first)
    hold(world.ledger, world.clock, "digits", why="the line is hot", actor="rita", until=None)
    assert admit(first, "production", world.spec, HOLDERS, ledger=world.ledger, clock=world.clock) is None


def test_a_hold_keeps_what_had_ended_and_is_taken_up_again(world: DecidingWorld) -> None:
    """A task that failed is cleared: that is no rollout under way."""
    first = world.decide("run:one")
    publish_image(world, first)
    error = Permanent(Reason.ROLLOUT_NOT_READY, "A pod does not start.")
    failed = [Ended("production.roll_out", begun=True, failure=_failure(error))]
    close_release(decision=first, spec=world.spec, ended=failed, ledger=world.ledger, clock=world.clock)
    entry = hold(world.ledger, world.clock, "digits", why="the line is hot", actor="rita", until=None)

    stay = admit(first, "production", world.spec, HOLDERS, ledger=world.ledger, clock=world.clock)

    assert stay is not None
    assert stay.reason == Reason.HELD
    assert told(world) == {first.release: "held"}
    resume(world.ledger, world.clock, "digits", numbers=[entry.sequence], why="", actor="rita")
    again = world.decide("run:resume", resume=str(first.release))
    assert admit(again, "production", world.spec, HOLDERS, ledger=world.ledger, clock=world.clock) is None


def test_what_users_get_already_is_admitted_whatever_is_said(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    world.release(first)
    asked: list[Admission] = []

    def shut(admission: Admission) -> Stay:
        asked.append(admission)
        return SHUT

    assert admit(first, "production", world.spec, [shut], ledger=world.ledger, clock=world.clock) is None
    assert not asked


def test_a_release_that_some_users_get_already_is_not_kept_halfway(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    publish_image(world, first)
    plan = read_plan(release_entries(world.ledger, str(first.release)), "production")
    record = CanaryRecord(world.ledger, world.clock, plan)
    leg = record.begin(None, 1, 20, 600.0, 2)  # its deployer is killed, and the task tried again in a freeze

    assert admit(first, "production", world.spec, [lambda _: SHUT], ledger=world.ledger, clock=world.clock) is None

    record.ended(leg, Temporary(Reason.INTERRUPTED, "It was ended."), 10.0, None, 590.0)
    assert admit(first, "production", world.spec, [lambda _: SHUT], ledger=world.ledger, clock=world.clock) == SHUT


def test_an_event_is_on_the_record_with_who_and_what(world: DecidingWorld) -> None:
    cause = Cause(kind="commit", by="ana", repository="https://git.example/shop", commit="c" * 40, delivery="d-1")
    decision = world.decide("run:commit-1", cause=cause, way="event")
    assert (decision.trigger, decision.way, decision.cause) == ("commit", "event", cause)
    wait(world, decision)
    world.decide("run:resume", resume=str(decision.release), cause=Cause(kind="window"), way="event")
    assert [line.asked for line in history(world.ledger, "digits")] == ["window", "commit by ana"]
    assert cause.words == "commit cccccccc by ana (d-1)"


def test_a_wait_is_named_by_its_key(world: DecidingWorld) -> None:
    first = world.decide("run:one")
    wait(world, first)
    assert world.newest().key == str(FactKey(str(first.release), "production.waits", attempt=1))


def _failure(error: Permanent) -> Failure:
    return Failure(error.reason, error.sentence, permanent=True)
