"""Judge a candidate by what its users met, against the release in use at the same time.

Both get their requests from the same users in the same minutes, so that a busy hour or a broken database meets both.
A difference counts when it is larger than the limit and too large for chance; one that is larger than the limit, and
may be chance, is no verdict yet. The rule, and how often it errs, is in docs/adr/0025.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from nightferry.entities.judging.service_figures import (
    SLOW,
    FigureLimits,
    FiguresVerdict,
    Window,
    slice_of,
)

CHANCE = 0.005
"""How likely a difference may be by chance alone and still count. A canary is judged a few times, on two figures."""
QUICK_SECONDS = 0.001
"""What takes less longer than this, nobody notices."""
COARSEST = 1.16
"""Times the one before that a histogram's bound may be around the p95, where the limit is 1.3 times: with it, slower by
half is seen wherever in its bucket the p95 lies. It grows with the limit."""
FULLER = 0.1
"""By how much a candidate has to be fuller than the one in use, since both may be full."""


@dataclass(frozen=True)
class _Finding:
    verdict: Literal["right", "wrong", "too_few"]
    sentence: str


def judge_figures(candidate: Window, in_use: Window, limits: FigureLimits) -> FiguresVerdict:
    """Judge error rate, p95 and saturation of the same minutes.

    Args:
        candidate: of the release that is to take over.
        in_use: of the one that users got until now.
        limits: how much worse the candidate may be.
    """
    figures = _figures(candidate, in_use)
    fewest = min(candidate.requests, in_use.requests)
    if fewest < limits.requests:
        sentence = (
            f"The candidate answered {candidate.requests} requests and the release in use {in_use.requests}; "
            f"{limits.requests} of each are needed to compare them."
        )
        # What so few show may be enough to see that it is wrong, never that it is right.
        broken = _errors(candidate, in_use, limits)
        if broken.verdict == "wrong":
            return FiguresVerdict(verdict="wrong", sentence=broken.sentence, figures=figures)
        return FiguresVerdict(verdict="too_few", sentence=sentence, figures=figures)
    findings = [
        _errors(candidate, in_use, limits),
        _p95(candidate, in_use, limits),
        _saturation(candidate, in_use, limits),
    ]
    for verdict in ("wrong", "too_few"):
        said = [finding.sentence for finding in findings if finding.verdict == verdict]
        if said:
            return FiguresVerdict(verdict=verdict, sentence=" ".join(said), figures=figures)
    sentence = " ".join(finding.sentence for finding in findings if finding.sentence)
    return FiguresVerdict(verdict="right", sentence=sentence, figures=figures)


def _errors(candidate: Window, in_use: Window, limits: FigureLimits) -> _Finding:
    said = (
        f"{_of(candidate.errors, candidate.requests)} of the candidate's requests failed, "
        f"{_of(in_use.errors, in_use.requests)} of those of the release in use"
    )
    if candidate.error_rate <= in_use.error_rate + limits.errors:
        return _Finding("right", f"{said}.")
    said += f": more than {100 * limits.errors:g} % of all beyond"
    chance = by_chance(candidate.errors, candidate.requests, in_use.errors, in_use.requests)
    return _larger(said, chance)


def _p95(candidate: Window, in_use: Window, limits: FigureLimits) -> _Finding:
    if min(candidate.timed, in_use.timed) < limits.requests:
        return _Finding(
            "too_few",
            f"Of {candidate.timed} of the candidate's requests and {in_use.timed} of those of the release in use it is "
            f"known how long they took; {limits.requests} of each are needed.",
        )
    slow = in_use.p95
    if slow is None:
        return _Finding(
            "too_few",
            "More than 5 % of the requests of the release in use took longer than the last bound of its histogram.",
        )
    allowed = max(slow * limits.p95, slow + QUICK_SECONDS)
    low, high, _ = slice_of(in_use, SLOW) or (0.0, 0.0, 0)
    takes = "more than the last bound" if candidate.p95 is None else milliseconds(candidate.p95)
    said = f"95 % of the candidate's requests took up to {takes}, of those of the release in use {milliseconds(slow)}"
    if candidate.p95 is None or candidate.p95 > allowed:
        slower = round(candidate.slower_than(allowed)), candidate.timed
        return _larger(
            f"{said}: more than {limits.p95:g} times",
            by_chance(*slower, round(in_use.slower_than(slow)), in_use.timed),
        )
    for between in ((low, high), slice_of(candidate, SLOW) or (0.0, 0.0)):
        if _too_coarse(between[0], between[1], limits):
            return _Finding(
                "too_few",
                f"{said}, as far as can be seen: the histogram has no bound between {milliseconds(between[0])} and "
                f"{milliseconds(between[1])}, so that a slower candidate might look the same. Give it finer bounds, or "
                "a higher limit.",
            )
    return _Finding("right", f"{said}.")


def _too_coarse(low: float, high: float, limits: FigureLimits) -> bool:
    if high - low <= QUICK_SECONDS:
        return False
    return low <= 0 or high / low > COARSEST * limits.p95 / FigureLimits().p95


def _saturation(candidate: Window, in_use: Window, limits: FigureLimits) -> _Finding:
    full, other = candidate.saturation, in_use.saturation
    if full is None or other is None:
        return _Finding("right", "")  # a gateway's figures say nothing of it
    said = f"The candidate's pods are {100 * full:.0f} % busy, those of the release in use {100 * other:.0f} %"
    if full > limits.saturation and full > other + FULLER:
        return _Finding("wrong", f"{said}: it has no room for more users.")
    return _Finding("right", f"{said}.")


def _larger(said: str, chance: float) -> _Finding:
    if chance <= CHANCE:
        return _Finding("wrong", f"{said}, which chance explains in {_share(chance)} of cases.")
    return _Finding("too_few", f"{said}, but that may be chance ({_share(chance)}): more requests will tell.")


def by_chance(some: int, of: int, others: int, of_others: int) -> float:
    """How likely at least `some` of `of` would be marked if nothing but chance distinguished the two groups: Fisher's
    exact test, one-sided (R. A. Fisher, Statistical Methods for Research Workers, §21.02): the upper tail of the
    hypergeometric distribution.

    Args:
        some, of: marked members of the first group, and all of them.
        others, of_others: those of the second.
    """
    marked, whole = some + others, of + of_others
    if not some or some * whole <= marked * of:
        return 1.0  # no more than its part; below the mode, where the tail would be long
    term = math.exp(_ways(of, some) + _ways(of_others, others) - _ways(whole, marked))
    total, k = 0.0, some
    while term > 0 and k <= min(marked, of):
        total += term
        if term < total * 1e-12:
            break
        term *= (marked - k) * (of - k) / ((k + 1) * (of_others - marked + k + 1))
        k += 1
    return min(1.0, total)


def _ways(n: int, k: int) -> float:
    """The logarithm of n over k."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _figures(candidate: Window, in_use: Window) -> dict[str, float | int | str | None]:
    return {
        f"{side}_{name}": value if value is None or isinstance(value, int) else float(f"{value:.6g}")
        for side, found in (("candidate", candidate), ("in_use", in_use))
        for name, value in (
            ("seconds", found.seconds),
            ("requests", found.requests),
            ("errors", found.errors),
            ("error_rate", found.error_rate),
            ("p95", found.p95),
            ("saturation", found.saturation),
        )
    }


def milliseconds(seconds: float) -> str:
    """A time as people read it: three digits."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _of(some: int, of: int) -> str:
    return f"{some} of {of} ({100 * some / of:.3g} %)" if of else f"{some} of {of}"


def _share(chance: float) -> str:
    return f"{100 * chance:.2g} %" if chance >= 0.0001 else "less than 0.01 %"
