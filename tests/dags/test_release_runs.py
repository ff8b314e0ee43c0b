"""Whole runs of the release DAG, with what is outside Airflow in memory."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import pytest
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.probe_report import Fault
from nightferry.entities.reason import Reason
from nightferry.entities.release_steps import expected_steps
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.steps.record.ledger import verify

from tests.dags.bag import parsed
from tests.dags.world import World
from tests.fakes.a_release import a_decision
from tests.fakes.still_clock import StillClock

STEPS = expected_steps(["staging", "production"])


@pytest.fixture
def world(airflow_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path / "versions", monkeypatch)


def test_a_release_goes_through_every_step_and_a_second_run_changes_nothing(world: World) -> None:
    state, tasks = world.release({"reason": "for the demo"})

    assert state == "success"
    assert {task for task, said in tasks.items() if said == "success"} == {"decide", *STEPS, "record"}
    assert tasks["watcher"] == "skipped"
    entries = world.entries()
    release = entries[-1].release
    done = [entry.key.removeprefix(f"{release}/") for entry in entries[1:-1]]
    assert sorted(done) == sorted(STEPS)
    assert [step for step in done if step != "test_source"] == [step for step in STEPS if step != "test_source"]
    assert done.index("test_source") < done.index("publish_image")
    assert (entries[0].kind, entries[0].reason, entries[0].actor) == (Kind.DECISION, Reason.FIRST_RELEASE, "dag_test")
    assert (entries[-1].kind, entries[-1].reason) == (Kind.RELEASE, Reason.RELEASED)
    assert len({image.digest for image in world.images.values()}) == 1
    assert ("127.0.0.1:5000/digits", release) in world.images
    assert [words[0] for words in world.pods] == ["roll_out", "roll_out"], "a verification needed a pod of its own"
    assert world.docker.containers == {}, "the candidate or the prober was left behind"
    assert verify(world.ledger, "digits").count == len(entries)

    built = len(world.built)
    state, tasks = world.release()

    assert state == "success"
    assert {task for task, said in tasks.items() if said == "success"} == {"decide", "record"}
    assert len(world.built) == built
    assert [entry.reason for entry in world.entries()[len(entries) :]] == [Reason.UNCHANGED]


def test_a_temporary_failure_is_tried_again(world: World) -> None:
    world.faults["build_image"] = [Temporary(Reason.BUILDER_UNAVAILABLE, "BuildKit does not answer.")]
    world.faults["staging.roll_out"] = [Temporary(Reason.CLUSTER_UNAVAILABLE, "The cluster does not answer.")]

    state, _ = world.release()

    assert state == "success"
    assert world.entries()[-1].reason == Reason.RELEASED


def test_a_permanent_failure_ends_the_release_at_once_and_the_run_stays_red(world: World) -> None:
    wrong = Fault(kind="golden", sentence="golden/0.png should be 0, got 7.")
    world.docker.faults = (wrong,)

    state, tasks = world.release()

    assert state == "failed"
    assert (tasks["test_image"], tasks["publish_image"], tasks["record"]) == ("failed", "upstream_failed", "success")
    assert world.docker.started.count("prober") == 1, "a permanent failure was tried again"
    assert not [name for name in world.images if name[0] == "127.0.0.1:5000/digits"], "an untested image was released"
    closing = world.entries()[-1]
    assert (closing.kind, closing.reason) == (Kind.RELEASE, Reason.IMAGE_GOLDEN_WRONG)
    assert wrong.sentence in closing.sentence
    skipped = [entry.key for entry in world.entries() if entry.reason == Reason.UPSTREAM_FAILED]
    assert skipped == [f"{closing.release}/{step}/skipped" for step in STEPS[STEPS.index("publish_image") :]]


def test_an_image_may_take_as_long_to_start_as_the_environments_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service file leaves ready_seconds at 120."""
    clock = StillClock(dt.datetime.now(dt.UTC))
    monkeypatch.setattr("nightferry.operators.image.test_image.SystemClock", lambda: clock)
    world.docker.health = lambda: "healthy" if clock.slept > 110 else "starting"

    state, _ = world.release()

    assert state == "success"
    (words,) = world.docker.probed
    assert sum(map(len, words)) < 2000, "what the prober is told has to stay small: it is an argument"


def test_an_app_that_fails_its_unit_tests_is_not_published(world: World) -> None:
    world.faults["test_source"] = [Permanent(Reason.IMAGE_TESTS_FAILED, "1 of 317 failed.")]

    state, tasks = world.release()

    assert (state, tasks["test_image"], tasks["publish_image"]) == ("failed", "success", "upstream_failed")
    assert not [name for name in world.images if name[0] == "127.0.0.1:5000/digits"], "an untested image was released"
    assert (world.entries()[-1].kind, world.entries()[-1].reason) == (Kind.RELEASE, Reason.IMAGE_TESTS_FAILED)


def test_what_the_deployer_wrote_is_the_reason_and_is_written_once(world: World) -> None:
    world.faults["production.verify"] = [Permanent(Reason.VERIFY_GOLDEN_WRONG, "It says 7.")]

    state, tasks = world.release()

    assert (state, tasks["production.roll_out"], tasks["staging.go_back"]) == ("failed", "failed", "success")
    assert [words[0] for words in world.pods] == ["roll_out", "roll_out", "finish"]
    failures = [entry for entry in world.entries() if entry.reason == Reason.VERIFY_GOLDEN_WRONG]
    assert [entry.kind for entry in failures] == [Kind.VERIFICATION, Kind.RELEASE]
    assert world.entries()[-1].sentence.startswith("production.verify failed: It says 7.")


def test_a_rollout_that_could_not_look_is_tried_again(world: World) -> None:
    world.faults["staging.verify"] = [Temporary(Reason.VERIFY_UNREACHABLE, "No answer yet.")]

    state, _ = world.release()

    assert state == "success"
    assert [words[0] for words in world.pods] == ["roll_out", "roll_out", "roll_out"]


def test_a_verification_that_is_cleared_looks_again(world: World) -> None:
    """Whoever clears a task that succeeded wants to know what is so now."""
    world.release()
    task = parsed().dags["release_digits"].get_task("production.verify")
    task.decision = a_decision(release=world.entries()[-1].release).model_dump_json()
    before = len(world.pods)

    task.execute({"ti": SimpleNamespace(try_number=1, max_tries=3)})
    found_done = len(world.pods) - before
    task.execute({"ti": SimpleNamespace(try_number=2, max_tries=3)})

    assert (found_done, world.pods[-1][0]) == (0, "verify")


def test_no_new_record_is_begun_beside_a_service_that_has_a_release(world: World) -> None:
    annotations = {names.RELEASE: "digits-2026-11-20.1"}
    metadata = {"name": "digits", "labels": names.labels("digits"), "annotations": annotations}
    world.cluster.create({"kind": "Service", "metadata": metadata, "spec": {"selector": {}, "ports": [{}]}})

    state, _ = world.release()

    assert (state, world.entries()[-1].reason) == ("failed", Reason.LEDGER_MISSING)
    assert not world.built


def test_new_settings_are_rolled_out_and_nothing_is_built(world: World) -> None:
    world.release()
    built, before = len(world.built), len(world.entries())
    world.edit("replicas: 2", "replicas: 3")

    state, _ = world.release()

    assert (state, len(world.built)) == ("success", built)
    entries = world.entries()[before:]
    assert (entries[0].reason, entries[-1].reason) == (Reason.NEW_SETTINGS, Reason.RELEASED)
    assert [entry.key.rpartition("/")[2] for entry in entries[1:-1]] == list(STEPS[STEPS.index("staging.roll_out") :])


@pytest.mark.parametrize("task", ["decide", "fetch_model", "build_image", "test_image", "publish_image"])
def test_a_task_marked_as_done_by_hand_is_said_to_have_left_nothing(world: World, task: str) -> None:
    state, tasks = world.release(marked=task)

    told = [entry for entry in world.entries() if entry.reason == Reason.RESULT_MISSING]
    assert any(task in entry.sentence for entry in told)
    if task == "fetch_model":  # every later step fetches what it needs
        assert (state, world.entries()[-1].reason) == ("success", Reason.RELEASED)
    else:
        assert (state, world.entries()[-1].reason) == ("failed", Reason.RESULT_MISSING)
    assert tasks["record"] == "success"


def test_a_step_that_is_killed_is_recorded_as_interrupted(world: World) -> None:
    class Killed(BaseException):
        """Nothing catches it, as nothing catches SIGKILL."""

    world.faults["build_image"] = [Killed() for _ in range(9)]

    state, tasks = world.release()

    assert (state, tasks["build_image"], tasks["record"]) == ("failed", "failed", "success")
    closing = world.entries()[-1]
    assert (closing.kind, closing.reason) == (Kind.RELEASE, Reason.INTERRUPTED)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(
            Permanent(Reason.SOURCE_REF_UNKNOWN, "There is no main."), Reason.SOURCE_REF_UNKNOWN, id="permanent"
        ),
        pytest.param(Temporary(Reason.STORAGE_UNAVAILABLE, "No answer."), Reason.STORAGE_UNAVAILABLE, id="temporary"),
    ],
)
def test_a_night_on_which_nothing_could_be_decided_is_on_the_record(
    world: World, fault: BaseException, reason: Reason
) -> None:
    world.faults["decide"] = [fault] * 9

    state, tasks = world.release()

    assert (state, tasks["decide"], tasks["record"]) == ("failed", "failed", "success")
    assert [(entry.kind, entry.release, entry.reason) for entry in world.entries()] == [(Kind.DECISION, None, reason)]


def test_a_parameter_that_airflow_lets_through_is_refused(world: World) -> None:
    state, tasks = world.release({"modle": "2026-11-20-a"})

    assert (state, tasks["decide"]) == ("failed", "failed")
    assert [entry.reason for entry in world.entries()] == [Reason.REQUEST_INVALID]
    assert "modle" in world.entries()[0].sentence
