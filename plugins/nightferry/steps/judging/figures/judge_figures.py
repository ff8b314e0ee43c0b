"""Judge a candidate by what its users met, against the release in use at the same time.

Both get their requests from the same users in the same minutes, so that a busy hour or a broken database meets both.
Wrong is what is worse than the limit allows, and by more than chance explains. Right is what is within the limit, where
so few would hardly have looked so good if the candidate were worse by two thirds more than that. Whatever is neither is
no verdict yet. The rule, and how often it errs, is in docs/adr/0025.
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
    quantile,
    slice_of,
)

CHANCE = 0.005
"""How likely a difference may be by chance alone and still count. A canary is judged a few times, on two figures."""
DOUBT = 0.05
"""How likely a candidate that is much too bad may look right."""
MUCH = 5 / 3
"""Times the difference that the limit allows: much too bad. With a p95 of 1.3 times, that is slower by half."""
PART = 0.3
"""Of what fails anyway, that may fail beyond: where a fifth fails, nobody can tell one in a hundred more."""
FEWEST = 20
"""Requests that have to be timed: of fewer the slowest one would be the p95."""
QUICK_SECONDS = 0.001
"""What takes less longer than this, nobody notices."""
COARSEST = 1.16
"""Times the one before that a histogram's bound may be around the p95, where the limit is 1.3 times: with it, slower by
half is seen wherever in its bucket the p95 lies. It grows with the limit."""
FULLER = 0.1
"""By how much a candidate has to be fuller than the one in use, since both may be full."""


Verdict = Literal["right", "wrong", "too_few"]


@dataclass(frozen=True)
class _Finding:
    verdict: Verdict
    sentence: str


def judge_figures(candidate: Window, in_use: Window, limits: FigureLimits) -> FiguresVerdict:
    """Judge error rate, p95 and saturation of the same minutes.

    Args:
        candidate: of the release that is to take over.
        in_use: of the one that users got until now.
        limits: how much worse the candidate may be.
    """
    figures = _figures(candidate, in_use)
    findings = [
        _errors(candidate, in_use, limits),
        _p95(candidate, in_use, limits),
        _saturation(candidate, in_use, limits),
    ]
    if min(candidate.requests, in_use.requests) < limits.requests:
        # What so few show may be enough to see that it is wrong, never that it is right.
        findings = [finding for finding in findings if finding.verdict == "wrong"] or [
            _Finding(
                "too_few",
                f"The candidate answered {candidate.requests} requests and the release in use {in_use.requests}; "
                f"{limits.requests} of each are needed to compare them.",
            )
        ]
    verdicts: tuple[Verdict, ...] = ("wrong", "too_few", "right")
    verdict = next(one for one in verdicts if any(finding.verdict == one for finding in findings))
    said = " ".join(finding.sentence for finding in findings if finding.verdict == verdict and finding.sentence)
    return FiguresVerdict(verdict=verdict, sentence=said, figures=figures)


def _errors(candidate: Window, in_use: Window, limits: FigureLimits) -> _Finding:
    said = (
        f"{_of(candidate.errors, candidate.requests)} of the candidate's requests failed, "
        f"{_of(in_use.errors, in_use.requests)} of those of the release in use"
    )
    beyond = max(limits.errors, PART * in_use.error_rate)
    if candidate.error_rate > in_use.error_rate + beyond:
        chance = by_chance(candidate.errors, candidate.requests, in_use.errors, in_use.requests)
        return _worse(f"{said}: more than {100 * beyond:.3g} % of all beyond", chance)
    much = min(1.0, in_use.error_rate + MUCH * beyond)
    if at_most(candidate.errors, candidate.requests, much) > DOUBT:
        return _Finding("too_few", f"{said}: so few do not rule out that {100 * much:.3g} % fail.")
    return _Finding("right", f"{said}.")


def _p95(candidate: Window, in_use: Window, limits: FigureLimits) -> _Finding:
    if min(candidate.timed, in_use.timed) < FEWEST:
        return _Finding(
            "too_few",
            f"Of {candidate.timed} of the candidate's requests and {in_use.timed} of those of the release in use it is "
            f"known how long they took; {FEWEST} of each are needed.",
        )
    slow = in_use.p95
    if slow is None:
        return _Finding(
            "too_few",
            "More than 5 % of the requests of the release in use took longer than the last bound of its histogram.",
        )
    allowed = max(slow * limits.p95, slow + QUICK_SECONDS)
    takes = "more than the last bound" if candidate.p95 is None else milliseconds(candidate.p95)
    said = f"95 % of the candidate's requests took up to {takes}, of those of the release in use {milliseconds(slow)}"
    if candidate.p95 is None or candidate.p95 > allowed:
        return _worse(f"{said}: more than {limits.p95:g} times", _chance_of_slower(candidate, in_use, limits.p95))
    coarse = _too_coarse(in_use, limits) or _too_coarse(candidate, limits)
    if coarse:
        return _Finding("too_few", f"{said}, as far as can be seen: {coarse}")
    much = 1 + MUCH * (limits.p95 - 1)
    slower = round(candidate.slower_than(max(slow * much, slow + MUCH * QUICK_SECONDS)))
    if by_chance(round((1 - SLOW) * in_use.timed), in_use.timed, slower, candidate.timed) > DOUBT:
        return _Finding("too_few", f"{said}: so few do not rule out that it is {much:.3g} times.")
    return _Finding("right", f"{said}.")


def _chance_of_slower(candidate: Window, in_use: Window, times: float) -> float:
    """How likely so many of the candidate's requests took so many times as long as chance has it, at the p95 or at the
    median: what is slower altogether is seen sooner in the middle, where the requests are."""
    found = []
    for share in (SLOW, 0.5):
        usual = quantile(in_use, share) or 0.0
        slower = round(candidate.slower_than(max(usual * times, usual + QUICK_SECONDS)))
        found.append(by_chance(slower, candidate.timed, round((1 - share) * in_use.timed), in_use.timed))
    return min(1.0, len(found) * min(found))


def _too_coarse(found: Window, limits: FigureLimits) -> str:
    """Why a histogram does not show a slower candidate; empty when it does."""
    low, high, _ = slice_of(found, SLOW) or (0.0, 0.0, 0)
    if high - low <= QUICK_SECONDS or (low > 0 and high / low <= COARSEST * limits.p95 / FigureLimits().p95):
        return ""
    return (
        f"a histogram has no bound between {milliseconds(low)} and {milliseconds(high)}, so that a slower candidate "
        "might look the same. Give it finer bounds, or a higher limit."
    )


def _saturation(candidate: Window, in_use: Window, limits: FigureLimits) -> _Finding:
    full, other = candidate.saturation, in_use.saturation
    if full is None or other is None:
        return _Finding("right", "")  # a gateway's figures say nothing of it
    said = f"The candidate's pods are {100 * full:.0f} % busy, those of the release in use {100 * other:.0f} %"
    if full > limits.saturation and full > other + FULLER:
        return _Finding("wrong", f"{said}: it has no room for more users.")
    return _Finding("right", f"{said}.")


def _worse(said: str, chance: float) -> _Finding:
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
    # From the first term on each is a multiple of the one before, and they shrink.
    term = math.exp(_ways(of, some) + _ways(of_others, others) - _ways(whole, marked))
    total, k = 0.0, some
    while term > 0 and k <= min(marked, of):
        total += term
        if term < total * 1e-12:
            break
        term *= (marked - k) * (of - k) / ((k + 1) * (of_others - marked + k + 1))
        k += 1
    return min(1.0, total)


def at_most(some: int, of: int, share: float) -> float:
    """How likely at most `some` of `of` are marked where each is with this probability: the binomial distribution."""
    if share >= 1 or not of:
        return 1.0 if some >= of else 0.0
    if share <= 0 or some >= share * of:
        return 1.0  # no fewer than are to be expected
    term = math.exp(_ways(of, some) + some * math.log(share) + (of - some) * math.log1p(-share))
    total, k = 0.0, some
    while k >= 0 and term > total * 1e-12:
        total += term
        term *= k * (1 - share) / ((of - k + 1) * share)
        k -= 1
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
