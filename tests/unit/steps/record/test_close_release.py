"""What the record says of a release that did not end well."""

from __future__ import annotations

import pytest
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import Permanent
from nightferry.steps.record.close_release import (
    KILLED,
    Ended,
    Failure,
    close_left_open,
    close_release,
    record_undecided,
)
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.record import expected_steps, record_step
from nightferry.steps.record.rollout_record import ROLL_OUT, record_trouble

from tests.fakes.a_release import IMAGE, a_decision, a_spec, decided
from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.still_clock import StillClock

STEPS = expected_steps(["staging", "production"])
BROKEN = Failure(Reason.IMAGE_BUILD_FAILED, "It does not build.", permanent=True)


@pytest.fixture
def store() -> MemoryLedger:
    store = MemoryLedger()
    decided(store, StillClock(), a_decision())
    return store


def ended(failed: str, failure: Failure) -> list[Ended]:
    """Every step before `failed` succeeded; nothing after it was begun."""
    broken = STEPS.index(failed)
    return [
        Ended(step, begun=index <= broken, failure=failure if index == broken else None)
        for index, step in enumerate(STEPS)
    ]


def close(store: MemoryLedger, steps: list[Ended]) -> None:
    decision = a_decision()
    for step in steps:
        if step.begun and not step.failure:
            record_step(store, StillClock(), decision, step.step, sentence="Done.")
    close_release(decision=decision, spec=a_spec(), ended=steps, ledger=store, clock=StillClock())


def keys(store: MemoryLedger) -> list[str]:
    return [entry.key.removeprefix("digits-2026-11-21.1/") for entry in Chain(store, "digits")][::-1]


def test_a_failure_is_followed_by_what_was_not_begun_and_the_end(store: MemoryLedger) -> None:
    close(store, ended("production.roll_out", BROKEN))

    assert keys(store)[-3:] == ["production.roll_out/failed/1", "production.verify/skipped", "release"]
    closing, skipped, failed = list(Chain(store, "digits"))[:3]
    assert (failed.kind, failed.reason, failed.data["permanent"]) == (Kind.ROLLOUT, BROKEN.reason, True)
    assert (skipped.kind, skipped.reason) == (Kind.VERIFICATION, Reason.UPSTREAM_FAILED)
    assert (closing.kind, closing.reason) == (Kind.RELEASE, BROKEN.reason)


def test_closing_again_writes_nothing(store: MemoryLedger) -> None:
    close(store, ended("build_image", BROKEN))
    before = dict(store.blobs)

    close(store, ended("build_image", BROKEN))

    assert store.blobs == before


def test_a_release_that_is_taken_up_again_may_fail_in_another_way(store: MemoryLedger) -> None:
    close(store, ended("build_image", BROKEN))
    close(store, ended("build_image", KILLED))

    assert keys(store)[-2:] == ["build_image/failed/2", "release/2"]
    assert next(iter(Chain(store, "digits"))).reason == Reason.INTERRUPTED


def test_what_the_deployer_wrote_is_not_written_twice(store: MemoryLedger) -> None:
    decision, spec = a_decision(), a_spec()
    plan = RolloutPlan(
        service="digits",
        release=str(decision.release),
        order=1,
        image=IMAGE,
        model=decision.candidate.model,
        model_repository=spec.model.repository,
        source=decision.candidate.source.commit,
        actor=decision.actor,
        app=None,
        environment=spec.environments[0],
    )
    record_trouble(store, StillClock(), plan, ROLL_OUT, Permanent(Reason.ROLLOUT_NOT_READY, "A crash loop."), {})

    close(store, ended("staging.roll_out", Failure(Reason.ROLLOUT_NOT_READY, "A crash loop.", permanent=True)))

    assert [key for key in keys(store) if key.startswith("staging.roll_out")] == ["staging.roll_out/failed/1"]


def test_a_release_that_was_carried_through_has_no_skipped_steps(store: MemoryLedger) -> None:
    close(store, [Ended(step, begun=True) for step in STEPS])

    assert keys(store) == ["run:one", *STEPS, "release"]
    assert next(iter(Chain(store, "digits"))).reason == Reason.RELEASED


def test_no_release_has_no_end() -> None:
    store = MemoryLedger()

    closed = close_release(decision=a_decision(release=None), spec=a_spec(), ended=[], ledger=store, clock=StillClock())

    assert closed is None
    assert store.blobs == {}


def test_a_night_without_a_decision_is_written_once() -> None:
    store = MemoryLedger()
    for _ in range(2):
        record_undecided(
            service="digits", key="night:2026-11-21", actor="schedule", failure=KILLED, ledger=store, clock=StillClock()
        )

    (entry,) = Chain(store, "digits")
    assert (entry.kind, entry.reason, entry.release, entry.data["go"]) == (
        Kind.DECISION,
        Reason.INTERRUPTED,
        None,
        False,
    )


def test_a_release_whose_run_was_stopped_is_closed_by_the_next_run(store: MemoryLedger) -> None:
    record_step(store, StillClock(), a_decision(), "fetch_model", sentence="Done.")

    for _ in range(2):
        close_left_open(spec=a_spec(), key="run:two", ledger=store, clock=StillClock())

    assert keys(store) == ["run:one", "fetch_model", "release"]
    assert next(iter(Chain(store, "digits"))).reason == Reason.INTERRUPTED


@pytest.mark.parametrize(
    ("key", "carried_through"),
    [pytest.param("run:one", False, id="its own"), pytest.param("run:two", True, id="one that ended")],
)
def test_no_other_release_is_closed(store: MemoryLedger, key: str, carried_through: bool) -> None:
    if carried_through:
        close(store, [Ended(step, begun=True) for step in STEPS])
    before = dict(store.blobs)

    close_left_open(spec=a_spec(), key=key, ledger=store, clock=StillClock())

    assert store.blobs == before


def test_a_release_that_was_closed_too_early_ends_as_it_ends(store: MemoryLedger) -> None:
    close_left_open(spec=a_spec(), key="run:two", ledger=store, clock=StillClock())

    close(store, [Ended(step, begun=True) for step in STEPS])

    assert next(iter(Chain(store, "digits"))).reason == Reason.RELEASED
