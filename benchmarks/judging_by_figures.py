"""How often the judge of figures errs, by simulation with a fixed seed: docs/adr/0025 has what came out.

    python benchmarks/judging_by_figures.py [RUNS]

A candidate and the release in use answer requests whose times are drawn from one distribution, the candidate's so
many times as long, and fail with one probability, the candidate's so much larger. The release in use gets nine times as
many.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
from nightferry.entities.judging.service_figures import FigureLimits, Window, quantile
from nightferry.steps.judging.figures.judge_figures import judge_figures
from numpy.typing import NDArray

from serving_app.runtime.metrics import PREDICTION_SECONDS

Times = NDArray[np.float64]
RNG = np.random.default_rng(25)
BOUNDS = np.array([*PREDICTION_SECONDS, math.inf])
LIMITS = FigureLimits()
OTHERS = 9
SHAPES: dict[str, Callable[[int], Times]] = {
    "constant": lambda n: 0.02 * RNG.lognormal(0, 0.02, n),
    "lognormal 0.3": lambda n: 0.02 * RNG.lognormal(0, 0.3, n),
    "lognormal 0.6": lambda n: 0.02 * RNG.lognormal(0, 0.6, n),
    "lognormal 1.0": lambda n: 0.02 * RNG.lognormal(0, 1.0, n),
    "two humps": lambda n: np.where(RNG.random(n) < 0.9, 0.01, 0.06) * RNG.lognormal(0, 0.2, n),
}


def window(times: Times, errors: int = 0) -> Window:
    """What would be read of these requests."""
    counts = np.cumsum(np.bincount(np.searchsorted(BOUNDS, times), minlength=len(BOUNDS)))
    found = Window(
        seconds=60,
        requests=len(times),
        errors=errors,
        error_rate=errors / len(times),
        p95=None,
        saturation=None,
        buckets={float(bound): int(count) for bound, count in zip(BOUNDS, counts, strict=True)},
    )
    return found.model_copy(update={"p95": quantile(found, 0.95)})


def shares(judge: Callable[[], str], runs: int) -> str:
    """Percent of verdicts: right / wrong / too_few."""
    found = Counter(judge() for _ in range(runs))
    return "/".join(f"{100 * found[one] / runs:.1f}" for one in ("right", "wrong", "too_few"))


def slower(shape: Callable[[int], Times], n: int, ratio: float) -> str:
    """A verdict on a candidate that takes `ratio` times as long."""
    return judge_figures(window(shape(n) * ratio), window(shape(OTHERS * n)), LIMITS).verdict


def failing(n: int, in_use: float, beyond: float) -> str:
    """A verdict on a candidate of which so many more fail."""
    same = np.full(n, 0.02)
    candidate = window(same, int(RNG.binomial(n, in_use + beyond)))
    return judge_figures(
        candidate, window(np.tile(same, OTHERS), int(RNG.binomial(OTHERS * n, in_use))), LIMITS
    ).verdict


def ever_wrong(shape: Callable[[int], Times], ratio: float) -> bool:
    """Whether one of twenty looks, while 1000 requests come, finds the candidate wrong."""
    one, other = shape(1000) * ratio, shape(1000 * OTHERS)
    looks = ((one[: 50 * k], other[: 50 * k * OTHERS]) for k in range(1, 21))
    return any(judge_figures(window(a), window(b), LIMITS).verdict == "wrong" for a, b in looks)


def main() -> None:
    """Print the tables."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for name, shape in SHAPES.items():
        for n in (50, 200, 500, 1000):
            said = [f"{ratio:g}x {shares(lambda: slower(shape, n, ratio), runs)}" for ratio in (1, 1.1, 1.5, 2)]  # noqa: B023
            print(f"{name:14} {n:5}  {'  '.join(said)}", flush=True)
    for rate in (0.0, 0.001, 0.01, 0.05):
        for n in (50, 200, 500, 1000):
            said = [f"+{d:.1%} {shares(lambda: failing(n, rate, d), runs)}" for d in (0, 0.005, 0.02, 0.05)]  # noqa: B023
            print(f"fails {rate:.1%} {n:5}  {'  '.join(said)}", flush=True)
    for name, shape in SHAPES.items():
        found = [
            f"{ratio:g}x {100 * sum(ever_wrong(shape, ratio) for _ in range(runs)) / runs:.1f} %" for ratio in (1, 1.5)
        ]
        print(f"ever wrong in 20 looks: {name:14} {'  '.join(found)}", flush=True)


if __name__ == "__main__":
    main()
