"""The task that says whose fault a failed gate is, in whole runs of the release DAG."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nightferry.entities.judging.prediction_diff import DIFF
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.probe_report import Fault
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.judging.prediction_gates import judged

from tests.dags.world import World
from tests.fakes.a_diff import GATES, a_diff

WRONG = Fault(kind="golden", sentence="golden/0.png should be 0, got 7.")


@pytest.fixture
def world(airflow_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A release is in use; then model and code are new, and the new model gets its golden examples wrong."""
    world = World(tmp_path / "versions", monkeypatch)
    world.edit("model: {", "source: {repository: https://git.example/digits.git}\nmodel: {")
    assert world.release()[0] == "success"
    world.publish("2026-11-21-b", created="2026-11-21T12:00:00Z")
    world.code = "e"
    world.docker.faults = (WRONG,)
    world.docker.wrong = lambda passport: json.loads(passport)["NIGHTFERRY_MODEL"] == "2026-11-21-b"
    return world


def blames(world: World) -> list[LedgerEntry]:
    return [entry for entry in world.entries() if entry.kind == Kind.BLAME]


def test_a_broken_model_is_named_and_the_next_run_ships_the_code_alone(world: World) -> None:
    state, tasks = world.release()

    assert (state, tasks["test_image"], tasks["blame"], tasks["record"]) == ("failed", "failed", "success", "success")
    (entry,) = blames(world)
    assert (entry.reason, entry.data["guilty"]) == (Reason.BLAMED, "model")
    assert entry.data["commands"] == ["nightferry release digits --model 2026-11-20-a"]
    assert [one["passed"] for one in entry.data["trials"]] == [True, False, True, False]
    closing = world.entries()[-1]
    assert (closing.kind, closing.reason) == (Kind.RELEASE, Reason.IMAGE_GOLDEN_WRONG)
    assert closing.sentence.endswith(entry.data["commands"][0])
    assert world.docker.containers == {}, "a container was left behind"
    assert len(world.pods) == 2, "a failed gate moved traffic"
    assert {name[1] for name in world.images if name[0] == "127.0.0.1:5000/digits"} & {closing.release} == set()

    state, _ = world.release()

    assert (state, world.entries()[-1].reason) == ("success", Reason.RELEASED)
    assert "model 2026-11-20-a, source eeeeeeee" in world.entries()[-1].sentence


def test_the_printed_command_ships_the_code_alone(world: World) -> None:
    world.release()
    _, _, model = blames(world)[0].data["commands"][0].partition("--model ")

    state, _ = world.release({"model": model})

    assert (state, world.entries()[-1].reason) == ("success", Reason.RELEASED)


def test_a_builder_that_is_down_blames_nobody_and_the_run_ends_as_it_failed(world: World) -> None:
    build, down = world.build, Temporary(Reason.BUILDER_UNAVAILABLE, "BuildKit does not answer.")

    def once(*words: object) -> object:
        made = build(*words)  # type: ignore[arg-type]
        if not words[0].tests:  # type: ignore[attr-defined]
            world.faults["build_image"] = [down]
        return made

    world.build = once  # type: ignore[method-assign, assignment]

    state, tasks = world.release()

    assert (state, tasks["blame"]) == ("failed", "success")
    assert (blames(world)[0].reason, world.entries()[-1].reason) == (Reason.NOT_BLAMED, Reason.IMAGE_GOLDEN_WRONG)
    assert down.sentence in blames(world)[0].sentence


def test_wrong_answers_in_staging_are_looked_into_as_well(world: World) -> None:
    world.docker.wrong = lambda passport: False
    world.faults["staging.verify"] = [Permanent(Reason.VERIFY_GOLDEN_WRONG, "It says 7.")]

    _, tasks = world.release()

    assert tasks["blame"] == "success"
    (entry,) = blames(world)
    assert (entry.reason, entry.data["failed_step"]) == (Reason.NOT_BLAMED, "staging.roll_out")
    assert "did not fail again" in entry.sentence


def test_flips_are_looked_into_with_the_golden_examples_of_each_image(world: World) -> None:
    old, world.docker.faults = world.docker.faults, ()
    world.edit("image: {", 'gates: {flips: "<= 5%"}\nimage: {')
    world.faults["staging.roll_out"] = [Permanent(Reason.GATE_FLIPS, "7.5 % differ.")]
    world.reports["staging.roll_out"] = {DIFF: judged(a_diff(), {"flips": GATES["flips"]}).to_json()}
    ask, probed = world.docker.attach, []

    def wrong_when_asked_for_answers(container: str, **options: object) -> object:
        words = world.docker.containers[container]["command"]
        probed.append(words[0])
        world.docker.faults = old if words[0] == "answer" else ()
        return ask(container, **options)

    world.docker.attach = wrong_when_asked_for_answers  # type: ignore[method-assign, assignment]

    world.release()

    (entry,) = blames(world)
    assert entry.data["guilty"] == "model", entry.sentence
    assert (probed, entry.data["bars"][0]["limits"]) == (["probe", *["answer"] * 4], {"flips": "<= 5%"})


@pytest.mark.parametrize("step", ["build_image", "staging.roll_out"])
def test_what_is_no_gate_is_blamed_on_nobody(world: World, step: str) -> None:
    world.docker.wrong = lambda passport: False
    reason = Reason.IMAGE_BUILD_FAILED if step == "build_image" else Reason.ROLLOUT_NO_CAPACITY
    world.faults[step] = [Permanent(reason, "no")]

    _, tasks = world.release()

    assert (tasks["blame"], blames(world)) == ("success", [])


def test_a_run_without_a_failure_has_no_blame(world: World) -> None:
    world.docker.faults = ()
    state, tasks = world.release()
    assert (state, tasks["blame"]) == ("success", "skipped")


def test_a_task_that_is_killed_leaves_the_end_of_the_release_as_it_was(world: World) -> None:
    class Killed(BaseException):
        """Nothing catches it, as nothing catches SIGKILL."""

    before = world.docker.wrong

    def wrong(passport: str) -> bool:
        if json.loads(passport)["NIGHTFERRY_SOURCE"][0] == "c":  # the release in use is tried for blame alone
            raise Killed
        return before(passport)

    world.docker.wrong = wrong

    state, tasks = world.release()

    assert (state, tasks["blame"], tasks["record"]) == ("failed", "failed", "success")
    assert (world.entries()[-1].reason, blames(world)) == (Reason.IMAGE_GOLDEN_WRONG, [])
