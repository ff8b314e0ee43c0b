"""Runs of the release DAG that wait before an environment, and runs that go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.admission.admission import Admission, Stay
from nightferry.steps.record.rollback_record import RollbackFacts, record_rollback, record_rolled_back
from nightferry.steps.record.state import read_state

from tests.dags.world import World
from tests.fakes.still_clock import StillClock


@pytest.fixture
def world(airflow_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path / "versions", monkeypatch)


def test_until_published_the_run_ends_green_and_the_next_goes_on_without_building(world: World) -> None:
    state, tasks = world.release({"until": "published"})

    assert state == "success"
    assert tasks["publish_image"] == "success"
    assert {tasks[f"{name}.{step}"] for name in ("staging", "production") for step in ("roll_out", "verify")} == {
        "skipped"
    }
    waiting = read_state(world.ledger, "digits").waiting
    assert waiting is not None
    assert (waiting.reason, waiting.environment) == (Reason.PUBLISHED, "staging")
    assert world.pods == []

    built = len(world.built)
    state, tasks = world.release()

    assert state == "success"
    assert tasks["production.verify"] == "success"
    assert len(world.built) == built
    last = world.entries()[-1]
    assert (last.reason, last.release) == (Reason.RELEASED, waiting.release)


def test_kept_before_production_staging_is_not_done_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shut = True

    def window(admission: Admission) -> Stay | None:
        return Stay("frozen", "The year ends.") if shut and admission.environment.name == "production" else None

    monkeypatch.setattr("nightferry.operators.pods.roll_out.HOLDERS", (window,))
    state, tasks = world.release()
    assert state == "success"
    assert (tasks["staging.verify"], tasks["production.roll_out"], tasks["record"]) == ("success", "skipped", "success")
    release = read_state(world.ledger, "digits").waiting.release  # type: ignore[union-attr]
    pods = len(world.pods)

    shut = False
    state, tasks = world.release({"resume": release})

    assert state == "success"
    assert [words[-1] for words in world.pods[pods:]] == ["production"], "staging was rolled out to again"
    assert world.entries()[-1].reason == Reason.RELEASED


def test_what_fails_when_it_goes_on_is_a_failed_release(world: World) -> None:
    world.release({"until": "published"})
    release = read_state(world.ledger, "digits").waiting.release  # type: ignore[union-attr]
    world.faults["staging.roll_out"] = [Permanent(Reason.ROLLOUT_NOT_READY, "A pod does not start.")]
    state, _ = world.release({"resume": release})
    assert state == "failed"
    closing = world.entries()[-1]
    assert (closing.release, closing.reason) == (release, Reason.ROLLOUT_NOT_READY)


def test_what_does_not_wait_is_not_gone_on_with(world: World) -> None:
    world.release()
    release = str(world.entries()[-1].release)
    state, tasks = world.release({"resume": release})
    assert state == "success"
    assert tasks["production.roll_out"] == "skipped"
    assert world.entries()[-1].reason == Reason.NOT_WAITING


def test_who_triggers_a_run_cannot_say_that_an_event_did(world: World) -> None:
    world.release({"trigger": {"kind": "commit", "by": "somebody else"}})
    decision = world.entries()[0]
    assert (decision.data["trigger"], decision.data["cause"], decision.actor) == ("person", None, "dag_test")


def test_what_staging_was_taken_back_from_while_it_waited_is_not_taken_for_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut = True

    def window(admission: Admission) -> Stay | None:
        return Stay("frozen", "The year ends.") if shut and admission.environment.name == "production" else None

    monkeypatch.setattr("nightferry.operators.pods.roll_out.HOLDERS", (window,))
    world.release()
    release = str(read_state(world.ledger, "digits").waiting.release)  # type: ignore[union-attr]
    facts = RollbackFacts("digits", "staging", "staging", left=release, to="digits-2026-01-01.1", why="", actor="rita")
    record_rolled_back(world.ledger, StillClock(), facts, record_rollback(world.ledger, StillClock(), facts))
    world.faults["staging.roll_out"] = [Permanent(Reason.ROLLOUT_SUPERSEDED, "Staging was sent to another one.")]
    shut, pods = False, len(world.pods)

    state, _ = world.release({"resume": release})

    assert state == "failed"
    places = {words[-1] for words in world.pods[pods:]}
    assert places == {"staging"}, "production got what staging was taken back from"
    closing = world.entries()[-1]
    assert (closing.release, closing.reason) == (release, Reason.ROLLOUT_SUPERSEDED)
