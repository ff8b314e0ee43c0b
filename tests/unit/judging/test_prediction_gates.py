"""The gates `flips` and `p95`: figures in the sentence, and missing data never passes."""

from __future__ import annotations

from typing import Any

import pytest
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Gate
from nightferry.errors import Permanent
from nightferry.steps.judging.prediction_gates import judged, refuse_failed, summary

from tests.fakes.a_diff import a_diff


def gates(**written: str) -> dict[str, Gate]:
    return {name: Gate.model_validate(gate) for name, gate in written.items()}


def refused(diff: PredictionDiff, **written: str) -> Permanent:
    with pytest.raises(Permanent) as caught:
        refuse_failed(judged(diff, gates(**written)))
    return caught.value


def latency(ratio: float, pairs: int = 100) -> dict[str, Any]:
    return {"pairs": pairs, "in_use_p95": 10.0, "candidate_p95": 10.0 * ratio, "ratio": ratio}


def test_flips_over_the_limit_are_refused_with_the_figures() -> None:
    fault = refused(a_diff(), flips="<= 5%")
    assert fault.reason == Reason.GATE_FLIPS
    for said in ("flips <= 5%", "3 of 40", "7.5 %", "digits-2026-11-21.1", "7 → 1: 2"):
        assert said in fault.sentence


def test_slower_answers_are_refused_with_the_figures() -> None:
    fault = refused(a_diff(), p95="<= 1.5x")
    assert fault.reason == Reason.GATE_P95
    for said in ("p95 <= 1.5x", "31 ms", "12 ms", "2.58 times"):
        assert said in fault.sentence


def test_of_two_gates_that_fail_both_are_told() -> None:
    fault = refused(a_diff(), p95="<= 1.5x", flips="<= 5%")
    assert fault.reason == Reason.GATE_FLIPS
    assert "p95 <= 1.5x is not met" in fault.sentence


@pytest.mark.parametrize(
    ("flips", "gate", "passed"),
    [(2, "<= 5%", True), (2, "< 5%", False), (3, "<= 5%", False), (0, "<= 0%", True), (1, "<= 0%", False)],
)
def test_the_limit_itself(flips: int, gate: str, passed: bool) -> None:
    diff = judged(a_diff(flips=flips, flip_percent=100 * flips / 40), gates(flips=gate))
    assert diff.verdicts["flips"].passed is passed


def test_a_share_is_not_rounded_down_to_its_limit() -> None:
    assert (
        not judged(a_diff(compared=99_999, flips=5000, flip_percent=5.0), gates(flips="<= 5%")).verdicts["flips"].passed
    )


def test_lost_answers_count_as_flips() -> None:
    fault = refused(a_diff(flips=0, lost=10, flip_percent=20.0), flips="<= 5%")
    assert "10 of 50 answers (20 %, 10 of them lost)" in fault.sentence


@pytest.mark.parametrize("compared", [0, 9])
def test_too_few_answers_never_pass(compared: int) -> None:
    diff = a_diff(compared=compared, flips=0, flip_percent=0.0, classes=[], not_comparable={"neither answered": 4})
    fault = refused(diff, flips="<= 100%")
    assert fault.reason == Reason.GATE_FLIPS
    for said in ("cannot be judged", f"{compared} answers", "10 are needed", "4: neither answered"):
        assert said in fault.sentence
    assert judged(diff, gates(flips="<= 100%")).verdicts["flips"].judged is False


@pytest.mark.parametrize("measured", [None, latency(0.5, pairs=19)])
def test_too_few_times_never_pass(measured: Any) -> None:
    fault = refused(a_diff(latency=measured), p95="<= 100x")
    assert fault.reason == Reason.GATE_P95
    assert "20 are needed" in fault.sentence


def test_what_meets_its_gates_passes_with_the_figures() -> None:
    diff = judged(a_diff(flips=1, flip_percent=2.5, latency=latency(1.2)), gates(flips="<= 5%", p95="<= 1.5x"))
    refuse_failed(diff)
    assert "1 of 40 answers (2.5 %)" in summary(diff)
    assert "1.2 times" in summary(diff)


def test_only_what_is_asked_for_is_judged() -> None:
    assert list(judged(a_diff(), gates(p95="<= 5x")).verdicts) == ["p95"]
