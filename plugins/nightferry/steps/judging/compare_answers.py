"""Two answers to one question: did the class change, and by how much?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nightferry.steps.judging.json_difference import difference
from nightferry.steps.judging.questions import Said

NOTICED = 1e-3
"""A difference of scores below that is another CPU's rounding."""
OTHER = "another answer"


@dataclass(frozen=True)
class Compared:
    """What became of one answer."""

    before: str
    after: str
    flipped: bool
    changed: bool
    """Whether it is worth a look; scores may move without another class."""
    score_before: float | None
    score_after: float | None
    difference: float | None
    """The largest difference of a score or number; None: there is none to compare."""


def compare(before: Said, after: Said) -> Compared:
    """Compare what the release in use and the candidate said.

    A flip is another class. Where there are no classes it is another status, or JSON that differs by more than the
    tolerance, in whatever member.
    """
    if before.document is None and after.document is None:
        found = _moved(before, after)
        flipped = before.label != after.label
        changed = flipped or (found is not None and found > NOTICED)
        scores = before.scores.get(before.label), after.scores.get(after.label)
        return Compared(before.label, after.label, flipped, changed, *scores, found)
    if before.label != after.label:
        return Compared(before.label, after.label, True, True, None, None, None)
    tolerance = min(before.tolerance, after.tolerance)
    one, other = before.document, after.document
    flipped = bool(difference(one, other, tolerance) or difference(other, one, tolerance))
    far = max(_distances(one, other), default=None) if flipped else 0.0
    return Compared(before.label, OTHER if flipped else before.label, flipped, flipped, None, None, far)


def _moved(before: Said, after: Said) -> float | None:
    """The largest difference of a class's score; a class that only one of them has is 0 to the other."""
    if not before.scores or not after.scores:
        return None
    classes = before.scores.keys() | after.scores.keys()
    return max(abs(before.scores.get(one, 0.0) - after.scores.get(one, 0.0)) for one in classes)


def _distances(one: Any, other: Any) -> Iterator[float]:
    """Yield how far numbers at the same places are apart."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() & other.keys():
            yield from _distances(one[name], other[name])
    elif isinstance(one, list) and isinstance(other, list):
        for left, right in zip(one, other, strict=False):
            yield from _distances(left, right)
    elif _is_number(one) and _is_number(other):
        try:
            far = abs(float(one) - float(other))
        except OverflowError:  # an integer that no float holds
            return
        if math.isfinite(far):
            yield far


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
