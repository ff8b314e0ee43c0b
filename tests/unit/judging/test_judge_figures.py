"""A candidate is judged by what its users met, against the release in use at the same time."""

from __future__ import annotations

import datetime as dt
import json
import math
import random

import pytest
from nightferry.entities.judging.service_figures import FigureLimits, Snapshot, Window, window
from nightferry.steps.judging.figures.judge_figures import at_most, by_chance, judge_figures
from pydantic import ValidationError

from tests.fakes.memory.memory_figures import BOUNDS, MemoryFigures
from tests.fakes.still_clock import StillClock

START = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
LIMITS = FigureLimits()


def snapshot(requests: int = 0, errors: int = 0, busy: float | None = None, **counts: int) -> Snapshot:
    """`le_10=5`: five took up to 10 ms."""
    buckets = {float(name.removeprefix("le_")) / 1000: count for name, count in counts.items()}
    return Snapshot(at=START, requests=requests, errors=errors, buckets=buckets, busy=busy)


def served(
    seconds: list[float], errors: int = 0, busy: float | None = None, bounds: tuple[float, ...] = BOUNDS
) -> Window:
    buckets = {bound: sum(one <= bound for one in seconds) for bound in bounds}
    after = Snapshot(
        at=START + dt.timedelta(minutes=1), requests=len(seconds), errors=errors, buckets=buckets, busy=busy
    )
    return window(Snapshot(at=START, requests=0, errors=0, buckets=dict.fromkeys(bounds, 0)), after)


def times(count: int, middle: float = 0.02, seed: int = 7) -> list[float]:
    chance = random.Random(seed)
    return [middle * chance.lognormvariate(0, 0.3) for _ in range(count)]


def test_equal_ones_are_right() -> None:
    found = judge_figures(served(times(500)), served(times(4000, seed=8)), LIMITS)
    assert found.verdict == "right"
    assert found.figures["candidate_requests"] == 500
    assert "0 of 500" in found.sentence


def test_slower_by_half_is_wrong() -> None:
    found = judge_figures(served(times(500, 0.03)), served(times(4000, seed=8)), LIMITS)
    assert found.verdict == "wrong"
    assert "1.3 times" in found.sentence


def test_quicker_is_right() -> None:
    assert judge_figures(served(times(500, 0.01)), served(times(4000)), LIMITS).verdict == "right"


def test_errors_of_both_are_nobodys() -> None:
    both = served(times(500), errors=100), served(times(4000), errors=800)
    assert judge_figures(*both, LIMITS).verdict == "right"


def test_errors_of_the_candidate_alone_are_wrong() -> None:
    found = judge_figures(served(times(500), errors=25), served(times(4000), errors=4), LIMITS)
    assert found.verdict == "wrong"
    assert "25 of 500 (5 %)" in found.sentence
    assert "4 of 4000" in found.sentence


def test_what_may_be_chance_is_no_verdict() -> None:
    assert judge_figures(served(times(200), errors=3), served(times(200)), LIMITS).verdict == "too_few"


def test_too_few_requests_are_never_right() -> None:
    found = judge_figures(served(times(199)), served(times(4000)), LIMITS)
    assert found.verdict == "too_few"
    assert "199" in found.sentence
    assert judge_figures(served(times(4000)), served(times(10)), LIMITS).verdict == "too_few"
    assert judge_figures(served([]), served([]), LIMITS).verdict == "too_few"


def test_a_slow_candidate_is_wrong_before_it_has_answered_many() -> None:
    assert judge_figures(served([0.045] * 60), served([0.03] * 500), LIMITS).verdict == "wrong"


def test_what_so_few_do_not_rule_out_is_not_right() -> None:
    long_tail = [*[0.02] * 180, *(0.03 * 1.2**step for step in range(20))]
    assert judge_figures(served(long_tail), served(long_tail * 10), LIMITS).verdict == "too_few"
    assert judge_figures(served(long_tail * 40), served(long_tail * 40), LIMITS).verdict == "right"
    found = judge_figures(served(times(200), errors=3), served(times(4000), errors=60), LIMITS)
    assert found.verdict == "too_few"
    assert "rule out" in found.sentence


def test_few_requests_that_all_fail_are_wrong() -> None:
    assert judge_figures(served(times(30), errors=30), served(times(300)), LIMITS).verdict == "wrong"


def test_requests_that_nobody_timed_are_never_right() -> None:
    untimed = window(snapshot(), snapshot(requests=500))
    assert judge_figures(untimed, served(times(500)), LIMITS).verdict == "too_few"
    assert judge_figures(served(times(500)), untimed, LIMITS).verdict == "too_few"


def test_a_candidate_beyond_the_last_bound_is_wrong() -> None:
    assert judge_figures(served([30.0] * 500), served(times(500)), LIMITS).verdict == "wrong"
    assert judge_figures(served([30.0] * 500), served([30.0] * 500), LIMITS).verdict == "too_few"


def test_bounds_too_far_apart_are_never_right() -> None:
    coarse = (0.01, 0.1, 0.25, math.inf)
    found = judge_figures(served([0.12] * 500, bounds=coarse), served([0.18] * 500, bounds=coarse), LIMITS)
    assert found.verdict == "too_few"
    assert "100 ms" in found.sentence
    assert (
        judge_figures(
            served([0.12] * 500, bounds=coarse), served([0.18] * 500, bounds=coarse), FigureLimits(p95=3)
        ).verdict
        == "right"
    )


def test_bounds_that_differ_between_the_releases() -> None:
    finer = tuple(bound * 1.05 for bound in BOUNDS)
    assert judge_figures(served(times(500), bounds=finer), served(times(4000, seed=8)), LIMITS).verdict == "right"
    assert judge_figures(served(times(500, 0.03), bounds=finer), served(times(4000)), LIMITS).verdict == "wrong"


@pytest.mark.parametrize("alignment", [0.020 + 0.0005 * step for step in range(12)])
def test_slower_by_half_is_seen_wherever_it_lies_between_bounds(alignment: float) -> None:
    same = served([alignment] * 1000)
    assert judge_figures(served([alignment * 1.5] * 300), same, LIMITS).verdict == "wrong"
    assert judge_figures(served([alignment] * 300), same, LIMITS).verdict == "right"


def test_what_nobody_notices_is_not_slower() -> None:
    assert judge_figures(served([0.0008] * 500), served([0.0003] * 500), LIMITS).verdict == "right"


def test_a_full_candidate_is_wrong_beside_one_that_is_not() -> None:
    assert judge_figures(served(times(500), busy=0.97), served(times(500), busy=0.4), LIMITS).verdict == "wrong"
    assert judge_figures(served(times(500), busy=0.97), served(times(500), busy=0.95), LIMITS).verdict == "right"
    assert judge_figures(served(times(500), busy=0.5), served(times(500), busy=0.1), LIMITS).verdict == "right"


def test_a_window_is_what_happened_since() -> None:
    found = window(snapshot(100, 2, le_10=90, le_20=100), snapshot(300, 5, le_10=100, le_20=300))
    assert (found.requests, found.errors, found.error_rate) == (200, 3, 0.015)
    assert found.buckets == {0.01: 10, 0.02: 200}
    assert found.p95 == pytest.approx(0.01 + 0.01 * 180 / 190)


@pytest.mark.parametrize(
    "after",
    [
        snapshot(90, 2, le_10=90, le_20=90),
        snapshot(300, 1, le_10=300, le_20=300),
        snapshot(300, 2, le_10=80, le_20=300),
        snapshot(103, 9, le_10=90, le_20=103),
        snapshot(300, 2, le_10=300, le_20=200),
    ],
)
def test_counts_that_fall_say_nothing(after: Snapshot) -> None:
    found = window(snapshot(100, 2, le_10=90, le_20=100), after)
    assert found.requests == 0
    assert found.p95 is None
    assert judge_figures(found, served(times(500)), LIMITS).verdict == "too_few"


def test_snapshots_and_windows_travel() -> None:
    figures = MemoryFigures(StillClock())
    figures.serve("digits-2026-11-21.1", times(10), errors=1)
    read = figures.read("digits-2026-11-21.1")
    assert read is not None
    assert Snapshot.model_validate(json.loads(json.dumps(read.to_json()))) == read
    assert Window.model_validate(json.loads(json.dumps(served(times(10)).to_json()))) == served(times(10))


@pytest.mark.parametrize(
    ("some", "of", "others", "of_others"),
    [(3, 10, 0, 10), (5, 50, 1, 60), (25, 500, 4, 4000), (1, 1, 0, 1), (9, 9, 0, 9)],
)
def test_chance_is_fishers(some: int, of: int, others: int, of_others: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    table = [[some, of - some], [others, of_others - others]]
    assert by_chance(some, of, others, of_others) == pytest.approx(
        stats.fisher_exact(table, "greater").pvalue, rel=1e-6
    )


@pytest.mark.parametrize(("some", "of", "share"), [(0, 200, 0.0167), (3, 500, 0.02), (40, 1000, 0.05), (9, 10, 0.95)])
def test_how_likely_so_few_are(some: int, of: int, share: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    assert at_most(some, of, share) == pytest.approx(stats.binom.cdf(some, of, share), rel=1e-9)


def test_shares_that_are_none_or_all() -> None:
    assert (at_most(5, 10, 0.0), at_most(10, 10, 1.0), at_most(9, 10, 1.0)) == (1.0, 1.0, 0.0)


def test_chance_of_millions_is_quick() -> None:
    assert by_chance(600_000, 1_000_000, 500_000, 1_000_000) == 0.0
    assert by_chance(500_100, 1_000_000, 500_000, 1_000_000) == pytest.approx(0.44, abs=0.01)


def test_limits_are_written_as_gates_are() -> None:
    written = {"errors": "<= 0.5%", "p95": "<=1.2x", "saturation": "<= 80%", "requests": 500}
    found = FigureLimits.model_validate(written)
    assert found == FigureLimits(errors=0.005, p95=1.2, saturation=0.8, requests=500)
    assert FigureLimits.model_validate(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    "written",
    [{"errors": "1%"}, {"errors": "<= 1x"}, {"p95": "<= 30%"}, {"p95": "<= 1x"}, {"requests": 3}, {"speed": "<= 1x"}],
)
def test_limits_that_are_none_are_refused(written: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FigureLimits.model_validate(written)
