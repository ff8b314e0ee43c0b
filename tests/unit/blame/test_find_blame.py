"""Whose fault a failed gate is: old and new code with old and new model, and nobody is blamed without proof."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from nightferry.entities.barring.blame import Guilty
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.blame.look_into import release_to_blame
from nightferry.steps.record.record import record_release
from nightferry.steps.record.state import read_state

from tests.fakes.worlds.blame_world import BlameWorld, Broken
from tests.fakes.worlds.deciding_world import ENVIRONMENTS


@pytest.fixture
def world(tmp_path: Path) -> BlameWorld:
    return BlameWorld(tmp_path)


MODEL: Broken = lambda model, code: model == "two"  # noqa: E731
CODE: Broken = lambda model, code: code == b"new"  # noqa: E731
TOGETHER: Broken = lambda model, code: (model, code) == ("two", b"new")  # noqa: E731
EACH: Broken = lambda model, code: model == "two" or code == b"new"  # noqa: E731
CASES = [
    pytest.param(MODEL, Guilty.MODEL, [{"model"}], id="model"),
    pytest.param(CODE, Guilty.CODE, [{"tree"}], id="code"),
    pytest.param(TOGETHER, Guilty.TOGETHER, [{"model", "tree"}], id="together"),
    pytest.param(EACH, Guilty.EACH, [{"model"}, {"tree"}], id="each"),
]


@pytest.mark.parametrize(("broken", "guilty", "barred"), CASES)
@pytest.mark.parametrize("flips", [False, True], ids=["answers", "flips"])
def test_the_guilty_one_is_named_and_barred(
    world: BlameWorld, broken: Broken, guilty: Guilty, barred: list[set[str]], flips: bool
) -> None:
    decision = world.both_new()
    world.laboratory.broken = broken
    blame = world.blame(decision, world.fail_flips(decision) if flips else None)
    assert blame.guilty == guilty
    assert world.laboratory.tried == ["one/old", "two/new", "one/new", "two/old"]
    assert [set(bar.parts.named()) for bar in blame.bars] == barred
    (entry,) = world.blames(decision)
    assert (entry.reason, entry.data["guilty"], entry.data["unseen"]) == (Reason.BLAMED, guilty, True)
    assert [set(one.parts.named()) for one in read_state(world.ledger, "digits").quarantines] == barred


def test_the_command_ships_the_other_one_alone_and_it_is_in_every_sentence(world: BlameWorld) -> None:
    decision = world.both_new()
    world.laboratory.broken = MODEL
    blame = world.blame(decision)
    assert blame.commands == ("nightferry release digits --model one",)
    ending = record_release(world.ledger, world.clock, decision, ENVIRONMENTS)
    assert ending is not None
    for sentence in (world.blames(decision)[0].sentence, ending.sentence):
        assert "Guilty is model two." in sentence
        assert sentence.endswith(blame.commands[0])
    other = world.night(model="one")
    assert (other.go, other.reason) == (True, Reason.NEW_SOURCE)
    assert read_state(world.ledger, "digits").in_use == other.release


def test_the_command_for_guilty_code_pins_the_commit_in_use(world: BlameWorld) -> None:
    decision = world.both_new()
    in_use = next(commit for commit, files in world.source.commits.items() if files["serving_app/app.py"] == b"old")
    world.laboratory.broken = CODE
    assert world.blame(decision).commands == (f"nightferry release digits --commit {in_use}",)
    other = world.night(commit=in_use)
    assert (other.go, other.reason, other.candidate.model.version) == (True, Reason.NEW_MODEL, "two")


def test_of_two_that_fail_only_together_either_can_be_shipped(world: BlameWorld) -> None:
    decision = world.both_new()
    world.laboratory.broken = TOGETHER
    model, commit = world.blame(decision).commands
    assert ("--model one" in model, "--commit" in commit) == (True, True)
    world.laboratory.broken = EACH
    again = world.blame(decision, world.fail(decision, "test_image", Reason.IMAGE_CONTRACT_BROKEN))
    assert (again.guilty, again.commands) == (Guilty.EACH, ())


def test_where_the_release_in_use_fails_too_nobody_is_blamed_and_nothing_barred(world: BlameWorld) -> None:
    decision = world.both_new()
    world.laboratory.broken = lambda model, code: True
    blame = world.blame(decision)
    assert (blame.guilty, blame.bars, blame.commands) == (None, (), ())
    assert "the test or where it ran is at fault" in blame.sentence
    assert world.laboratory.tried == ["one/old"]
    assert world.blames(decision)[0].reason == Reason.NOT_BLAMED
    assert world.night().go


def test_what_does_not_fail_again_is_blamed_on_nobody_and_barred_as_it_is(world: BlameWorld) -> None:
    decision = world.both_new()
    blame = world.blame(decision)
    assert blame.guilty is None
    assert "did not fail again" in blame.sentence
    assert [set(bar.parts.named()) for bar in blame.bars] == [{"model", "tree"}]


@pytest.mark.parametrize("combination", ["one/old", "two/new", "one/new", "two/old"])
@pytest.mark.parametrize("when", ["faults", "started"])
@pytest.mark.parametrize(
    "fault",
    [
        Temporary(Reason.BUILDER_UNAVAILABLE, "BuildKit does not answer."),
        Permanent(Reason.IMAGE_BUILD_FAILED, "no such package"),
        Permanent(Reason.REGISTRY_DENIED, "refused"),
    ],
    ids=lambda fault: str(fault.reason),
)
def test_what_could_not_be_tried_blames_nobody_and_is_tried_when_it_is_asked_again(
    world: BlameWorld, combination: str, when: str, fault: Temporary | Permanent
) -> None:
    decision = world.both_new()
    world.laboratory.broken = MODEL
    setattr(world.laboratory, when, {combination: fault})
    blame = world.blame(decision)
    assert (blame.guilty, blame.settled) == (None, False)
    assert fault.sentence in blame.sentence
    assert [set(bar.parts.named()) for bar in blame.bars] == [{"model", "tree"}]
    world.blame(decision)
    assert len(world.blames(decision)) == 1, "the same was written twice"
    setattr(world.laboratory, when, {})
    assert world.blame(decision).guilty == Guilty.MODEL
    (barred,) = read_state(world.ledger, "digits").quarantines
    assert set(barred.parts.named()) == {"model"}, "what was barred for want of proof is still barred"


def test_it_ends_when_its_time_is_over(world: BlameWorld) -> None:
    decision = world.both_new()
    world.laboratory.broken = MODEL
    blame = world.blame(decision, seconds=15)  # each takes ten
    assert (blame.guilty, blame.settled, len(world.laboratory.tried)) == (None, False, 2)
    assert "no time left" in blame.sentence


def test_what_changed_alone_is_named_without_trying(world: BlameWorld) -> None:
    world.laboratory.broken = MODEL
    world.publish("two", created="2026-11-21T12:00:00Z")
    decision = world.night()
    (entry,) = world.blames(decision)
    assert (entry.data["guilty"], entry.data["commands"], world.laboratory.tried) == (Guilty.MODEL, [], [])


def test_a_gate_of_the_model_names_it_without_trying_whatever_else_changed(world: BlameWorld) -> None:
    decision = world.both_new()
    blame = world.blame(decision, world.fail(decision, "check_model", Reason.GATE_FAILED))
    assert (blame.guilty, blame.commands) == (Guilty.MODEL, ("nightferry release digits --model one",))
    assert (world.laboratory.tried, blame.bars[0].limits) == ([], {"accuracy": ">= 0.95"})


def test_failed_unit_tests_name_the_code_and_bar_nothing(world: BlameWorld) -> None:
    decision = world.both_new()
    blame = world.blame(decision, world.fail(decision, "test_source", Reason.IMAGE_TESTS_FAILED))
    assert (blame.guilty, blame.bars, world.laboratory.tried) == (Guilty.CODE, (), [])


def test_settings_beside_a_model_are_told_from_it_by_the_release_in_use(world: BlameWorld) -> None:
    environments = [one.to_json() for one in world.spec.environments]
    environments[-1]["settings"] = {"SERVING_MAX_PIXELS": "1000"}
    world.spec = type(world.spec).model_validate(world.spec.to_json() | {"environments": environments})
    world.publish("two", created="2026-11-21T12:00:00Z")
    decision = world.decide("run:settings")
    world.fail(decision)
    world.laboratory.broken = lambda model, code: True
    blame = world.blame(decision)
    assert (blame.guilty, blame.bars) == (None, ())
    assert "The settings of the service file changed too" in blame.sentence
    world.laboratory.broken = MODEL
    assert world.blame(decision, world.fail(decision, "staging.verify", Reason.VERIFY_GOLDEN_WRONG)).guilty == "model"


def test_flips_that_golden_examples_do_not_show_blame_nobody(world: BlameWorld) -> None:
    decision = world.both_new()
    assert "did not fail again with golden examples alone" in world.blame(decision, world.fail_flips(decision)).sentence
    world.laboratory.questions = 3
    few = world.blame(decision, world.fail_flips(decision))
    assert (few.guilty, "too few" in few.sentence) == (None, True)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("build_image", Reason.IMAGE_BUILD_FAILED),
        ("build_image", Reason.IMAGE_CONTRACT_BROKEN),
        ("fetch_model", Reason.MODEL_OVERWRITTEN),
        ("staging.roll_out", Reason.ROLLOUT_NO_CAPACITY),
        ("staging.roll_out", Reason.ROLLOUT_NOT_READY),
        ("staging.roll_out", Reason.ROLLOUT_REFUSED),
        ("staging.roll_out", Reason.GATE_FLIPS),
        ("production.verify", Reason.VERIFY_WRONG_RELEASE),
        ("publish_image", Reason.REGISTRY_DENIED),
    ],
)
def test_what_is_full_refused_or_unreachable_is_no_gate(world: BlameWorld, step: str, reason: Reason) -> None:
    decision = world.both_new()
    failures = [world.fail(decision, step, reason)]
    assert release_to_blame(decision, world.spec, failures, world.ledger) is None


def test_a_comparison_that_could_not_be_made_is_no_gate(world: BlameWorld) -> None:
    decision = world.both_new()
    failures = [world.fail_flips(decision, enough=False)]
    assert release_to_blame(decision, world.spec, failures, world.ledger) is None


def test_a_first_release_that_fails_is_barred_as_a_whole(world: BlameWorld) -> None:
    decision = world.both_new().model_copy(update={"in_use": None})
    blame = world.blame(decision)
    assert (blame.guilty, blame.commands, world.laboratory.tried) == (None, (), [])
    assert set(blame.bars[0].parts.named()) == {"model", "tree", "platform", "settings"}


class Killed(BaseException):
    """As with SIGKILL: nothing catches it."""


@pytest.mark.parametrize(("broken", "guilty", "barred"), CASES)
def test_killed_anywhere_and_repeated_it_says_the_same_once(
    tmp_path: Path, broken: Broken, guilty: Guilty, barred: list[set[str]]
) -> None:
    for call in range(1, 30):
        world = BlameWorld(tmp_path / str(call))
        decision = world.both_new()
        world.laboratory.broken = broken
        left = call

        def tick(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed

        world.laboratory.before = world.ledger.before = tick
        with contextlib.suppress(Killed):
            world.blame(decision)
        ended = left > 0
        world.laboratory.before = world.ledger.before = lambda *_: None
        assert world.blame(decision).guilty == guilty
        assert len(world.blames(decision)) == 1
        quarantines = read_state(world.ledger, "digits").quarantines
        assert [set(one.parts.named()) for one in quarantines] == barred
        if ended:
            return
    raise AssertionError("it has more calls than were tried")


def test_two_at_once_write_one_fact(world: BlameWorld) -> None:
    """Airflow starts a task a second time while the first still runs."""
    decision = world.both_new()
    world.laboratory.broken = MODEL
    other: list[object] = []

    def meanwhile() -> None:
        if not other:
            other.append("")
            other.append(world.blame(decision))

    world.laboratory.before = meanwhile
    assert world.blame(decision) == other[1]
    assert len(world.blames(decision)) == 1
