"""What a release's pods, or the gateway before them, counted of its users' requests."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from nightferry.entities.frozen import Frozen

SLOW = 0.95
Bucket = tuple[float, float, float]
"""Requests that took longer than the first number of seconds and at most the second, and how many."""


class Snapshot(Frozen):
    """Counts up to a moment, summed over the release's pods. They only grow while one reader lives; another reader, of
    a deployer that took over, counts anew."""

    at: dt.datetime
    requests: int = Field(ge=0)
    errors: int = Field(ge=0)
    """Of these, how many the service could not answer: 5xx. What it refuses is the caller's."""
    buckets: Mapping[float, int]
    """Upper bound in seconds -> requests that took no longer; `inf` counts all that were timed."""
    busy: float | None = None
    """Which share of what the release has room for is in work, 0 to 1; None: nobody says."""


class Window(Frozen):
    """What happened between two snapshots."""

    seconds: float
    requests: int
    errors: int
    error_rate: float
    """0 to 1; 0 where there were no requests."""
    p95: float | None
    """Seconds in which 95 of 100 requests were answered; None: none was timed, or not within the last bound."""
    saturation: float | None
    """0 to 1, at the later snapshot."""
    buckets: Mapping[float, int] = Field(default_factory=dict)
    """As in the snapshots, of the window's requests alone."""

    @property
    def timed(self) -> int:
        """Requests of which it is known how long they took."""
        return max(self.buckets.values(), default=0)

    def slices(self) -> Iterator[Bucket]:
        """Yield each bucket by itself, in the order of their bounds."""
        low, below = 0.0, 0
        for bound, count in sorted(self.buckets.items()):
            yield low, bound, count - below
            low, below = bound, count

    def slower_than(self, seconds: float) -> float:
        """How many requests took longer: within a bucket they are taken to lie evenly; beyond the last bound nothing is
        known, and all are taken to have taken longer."""
        found = 0.0
        for low, high, count in self.slices():
            if low >= seconds or math.isinf(high):
                found += count
            elif high > seconds:
                found += count * (high - seconds) / (high - low)
        return found


_WRITTEN = {
    "errors": (re.compile(r"<=\s*(\d+(?:\.\d+)?)\s*%"), 100.0, 'a share of requests: write it like "<= 1%"'),
    "p95": (re.compile(r"<=\s*(\d+(?:\.\d+)?)\s*x"), 1.0, 'a multiple of the other one\'s: write it like "<= 1.3x"'),
    "saturation": (re.compile(r"<=\s*(\d+(?:\.\d+)?)\s*%"), 100.0, 'a share of the room: write it like "<= 90%"'),
}
"""How a service file writes a limit, what it is divided by, and what to say of anything else."""


class FigureLimits(Frozen):
    """How much worse than the release in use a candidate may be. A service file writes them as gates are written:
    `{errors: "<= 1%", p95: "<= 1.3x", saturation: "<= 90%", requests: 200}`."""

    errors: float = Field(default=0.01, ge=0, lt=1)
    """Share of requests that may fail beyond the share that fails in the release in use."""
    p95: float = Field(default=1.3, ge=1.05, le=100)
    """Multiple of the other one's p95."""
    saturation: float = Field(default=0.9, gt=0, le=1)
    """Above it a candidate is full, and cannot take more users."""
    requests: int = Field(default=200, ge=20, le=1_000_000)
    """Fewer, of either, are never right."""

    @field_validator("errors", "p95", "saturation", mode="before")
    @classmethod
    def _parse(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        pattern, unit, said = _WRITTEN[info.field_name or ""]
        found = pattern.fullmatch(value.strip())
        if not found:
            raise ValueError(f"{said}, not {value!r}")
        return float(found[1]) / unit


class FiguresVerdict(Frozen):
    """What a comparison came to."""

    verdict: Literal["right", "wrong", "too_few"]
    """`too_few`: it cannot be said yet, or not from such figures. It never counts as right."""
    sentence: str
    figures: dict[str, float | int | str | None] = Field(default_factory=dict)
    """For the record."""


def window(before: Snapshot, after: Snapshot) -> Window:
    """What happened between two snapshots of one release.

    Where a count is smaller than it was, somebody began to count anew: how much happened is not known then, and the
    window has no requests.
    """
    # A histogram may have no bounds before it has counted something.
    bounds = sorted(set(before.buckets) & set(after.buckets) if before.buckets else after.buckets)
    buckets = {bound: after.buckets[bound] - before.buckets.get(bound, 0) for bound in bounds}
    requests, errors = after.requests - before.requests, after.errors - before.errors
    counts = list(buckets.values())
    if requests < 0 or errors < 0 or errors > requests or counts != sorted(counts) or any(n < 0 for n in counts):
        requests, errors, buckets = 0, 0, {}
    found = Window(
        seconds=max(0.0, (after.at - before.at).total_seconds()),
        requests=requests,
        errors=errors,
        error_rate=errors / requests if requests else 0.0,
        p95=None,
        saturation=after.busy,
        buckets=buckets,
    )
    return found.model_copy(update={"p95": quantile(found, SLOW)})


def slice_of(found: Window, share: float) -> Bucket | None:
    """The bucket in which this share of the requests is reached; None: none was timed."""
    below, wanted = 0.0, share * found.timed
    for low, high, count in found.slices():
        below += count
        if count and below >= wanted:
            return low, high, count
    return None


def quantile(found: Window, share: float) -> float | None:
    """Seconds in which this share was answered, evenly within its bucket; None: none was timed, or it is beyond the
    last bound."""
    inside = slice_of(found, share)
    if inside is None or math.isinf(inside[1]):
        return None
    low, high, count = inside
    below = sum(n for _, bound, n in found.slices() if bound <= low)
    return low + (high - low) * (share * found.timed - below) / count
