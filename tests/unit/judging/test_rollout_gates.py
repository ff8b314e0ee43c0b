"""A rollout compares the candidate with the release in use before anybody gets it, where the service file asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from nightferry.clients.doors.cluster import Manifest
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.steps.judging.prediction_gates import judged
from nightferry.steps.record.history import release_entries
from nightferry.steps.rollout.read_plan import read_plan

from tests.fakes.a_diff import GATES, a_diff
from tests.fakes.worlds.rollout_world import SPEC, World

FIRST, SECOND = "digits-2026-11-21.1", "digits-2026-11-21.2"


@pytest.fixture
def world() -> World:
    """The release in use, and a service file with gates from now on."""
    world = World()
    world.roll_out(FIRST)
    world.gates = GATES
    return world


def finding(**changes: Any) -> tuple[Callable[[Manifest], PredictionDiff], list[str]]:
    """What finds a comparison, and the releases that were in use then."""
    seen: list[str] = []

    def compare(stable: Manifest) -> PredictionDiff:
        seen.append(names.annotations_of(stable)[names.RELEASE])
        return judged(a_diff(**changes), GATES)

    return compare, seen


SAME = {"flips": 0, "flip_percent": 0.0, "classes": [], "largest": [], "latency": None}
LIKE = {**SAME, "latency": {"pairs": 100, "in_use_p95": 10.0, "candidate_p95": 10.0, "ratio": 1.0}}


def test_a_candidate_that_flips_too_much_gets_no_users_and_the_report_is_on_record(world: World) -> None:
    world.compare, seen = finding()
    with pytest.raises(Permanent) as caught:
        world.roll_out(SECOND)
    assert caught.value.reason == Reason.GATE_FLIPS
    assert seen == [FIRST]
    assert world.in_use() == FIRST
    assert world.cluster.names("Deployment") == ["digits-20261121-1"]
    failure = world.entries()[-1]
    assert (failure.reason, failure.data["permanent"]) == (Reason.GATE_FLIPS, True)
    assert "3 of 40" in failure.sentence
    assert PredictionDiff.model_validate(failure.data["prediction_diff"]).flips == 3


def test_a_candidate_that_answers_alike_comes_into_use_with_the_report(world: World) -> None:
    world.compare, _ = finding(**LIKE)
    world.roll_out(SECOND)
    entry = world.entries()[-1]
    assert (world.in_use(), entry.reason) == (SECOND, Reason.ROLLED_OUT)
    assert entry.data["prediction_diff"]["verdicts"]["p95"]["passed"] is True
    assert "0 of 40 answers" in entry.sentence


def test_nothing_is_compared_where_no_gate_asks_for_it(world: World) -> None:
    world.gates = {}
    world.roll_out(SECOND)  # a comparison would fail the test
    assert "prediction_diff" not in world.entries()[-1].data


def test_a_first_release_is_not_compared_and_that_is_said() -> None:
    world = World()
    world.gates = GATES
    world.roll_out(FIRST)
    entry = world.entries()[-1]
    assert "No release was in use" in entry.sentence
    assert "flips <= 5%" in entry.sentence
    assert "prediction_diff" not in entry.data


def test_a_comparison_that_could_not_be_made_is_no_verdict_and_switches_nothing(world: World) -> None:
    def silent(stable: Manifest) -> PredictionDiff:
        raise Temporary(Reason.VERIFY_UNREACHABLE, "It does not answer.")

    world.compare = silent
    with pytest.raises(Temporary):
        world.roll_out(SECOND)
    assert world.in_use() == FIRST
    assert world.entries()[-1].reason == Reason.VERIFY_UNREACHABLE


def test_done_again_after_the_switch_nothing_is_compared(world: World) -> None:
    world.compare, seen = finding(**LIKE)
    world.roll_out(SECOND)
    world.roll_out(SECOND)
    assert seen == [FIRST]


def test_the_plan_has_the_gates_of_the_comparison_alone(world: World) -> None:
    written = {"accuracy": ">= 0.9", "flips": "<= 5%", "p95": "< 2x"}
    world.spec = ServiceSpec.model_validate(SPEC | {"gates": written}).to_json()
    world.decide(SECOND)
    plan = read_plan(release_entries(world.ledger, SECOND), "staging")
    assert {name: str(gate) for name, gate in plan.gates.items()} == {"flips": "<= 5%", "p95": "< 2x"}


def test_gates_of_before_stay_as_they_are_on_record() -> None:
    """Also a metric that was called as a gate of the comparison is now."""
    pinned = {"accuracy": {"comparison": ">=", "threshold": 0.9}, "p95": {"comparison": "<=", "threshold": 3.0}}
    spec = ServiceSpec.model_validate(SPEC | {"gates": pinned})
    assert json.loads(json.dumps(spec.to_json()))["gates"] == pinned
    assert (list(spec.metric_gates), spec.prediction_gates) == (["accuracy", "p95"], {})
