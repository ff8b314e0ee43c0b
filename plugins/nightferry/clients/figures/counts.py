"""What one process says that it counted, in one of the forms that are known.

The names and labels are those of the stock service, of prometheus-flask-exporter, and of OpenTelemetry's semantic
conventions for HTTP servers (`http.server.request.duration`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_BUCKETS = 1000
STARTED = "process_start_time_seconds"
"""When the process began, which tells a new one from one that was there before."""


class Sample(NamedTuple):
    """One line of a page."""

    name: str
    labels: Mapping[str, str]
    value: float


class Malformed(Exception):
    """What was read cannot be what somebody counted; the text says why."""


@dataclass(frozen=True)
class Counts:
    """Since the process began."""

    requests: int
    errors: int
    buckets: Mapping[float, int]
    """Upper bound in seconds -> requests that took no longer."""
    work: float | None = None
    """Seconds that were spent on requests, of all who work at them."""
    room: float | None = None
    """How many requests can be worked at at once."""
    started: float | None = None

    def fell_below(self, earlier: Counts) -> bool:
        """Whether a count is smaller than it was: somebody else counts, or began anew."""
        pairs = [(self.requests, earlier.requests), (self.errors, earlier.errors)]
        pairs += [(self.buckets.get(bound, 0), count) for bound, count in earlier.buckets.items()]
        return any(now < then for now, then in pairs)


@dataclass(frozen=True)
class Family:
    """How some services count."""

    seconds: str
    """The histogram of what requests took."""
    status: tuple[str, ...]
    """The label that holds an answer's status, under one of these names."""
    requests: str = ""
    """The counter by status; empty: the histogram has the status."""
    only: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Values of labels of the counter that say it is a user's request; empty: all."""
    work: str = ""
    room: str = ""


STATUS = ("status", "code", "status_code", "http_response_status_code", "http_status_code")
FAMILIES = (
    Family(
        seconds="serving_prediction_seconds",
        requests="serving_requests_total",
        status=("status",),
        only={"route": ("/score", "/v2/models/infer")},
        work="serving_busy_seconds_total",
        room="serving_room",
    ),
    Family(seconds="flask_http_request_duration_seconds", status=STATUS),
    Family(seconds="http_server_request_duration_seconds", status=STATUS),
    Family(seconds="http_request_duration_seconds", status=STATUS),
)
PARTS = ("_bucket", "_count")


def names() -> frozenset[str]:
    """The names of every series that is looked at."""
    histograms = {family.seconds + part for family in FAMILIES for part in PARTS}
    others = {name for family in FAMILIES for name in (family.requests, family.work, family.room) if name}
    return frozenset({STARTED, *histograms, *others})


def counts_of(
    samples: Iterable[Sample], ignored: Collection[str] = (), announced: Collection[str] = ()
) -> Counts | None:
    """What a page says; None: it counts in no form that is known.

    Args:
        samples: of one process.
        ignored: paths that are asked by no user, such as that of the page.
        announced: histograms that the page names, which may have counted nothing yet.

    Raises:
        Malformed: a number that no counter has, or bounds that are none.
    """
    found = [one for one in samples if not any(value in ignored for value in one.labels.values())]
    started = [one.value for one in found if one.name == STARTED]
    for family in FAMILIES:
        counts = _of_family(family, found, started[0] if len(started) == 1 else None)
        if counts is not None:
            return counts
        if family.seconds in announced and not any(one.name.startswith(family.seconds) for one in found):
            return Counts(requests=0, errors=0, buckets={}, started=started[0] if len(started) == 1 else None)
    return None


def _of_family(family: Family, samples: list[Sample], started: float | None) -> Counts | None:
    times: dict[float, float] = {}
    for one in samples:
        if one.name == f"{family.seconds}_bucket" and "le" in one.labels:
            bound = _bound(one.labels["le"])
            times[bound] = times.get(bound, 0) + one.value
    counter = family.requests or f"{family.seconds}_count"
    counted = [one for one in samples if one.name == counter and _is_users(one, family)]
    by_status = [(_status(one, family), one.value) for one in counted]
    if not times or len(times) > MOST_BUCKETS or (by_status and not any(status for status, _ in by_status)):
        return None
    if not by_status and not family.requests:
        return None
    whole = [(bound, count(value)) for bound, value in sorted(times.items())]
    if [value for _, value in whole] != sorted(value for _, value in whole):
        raise Malformed("the counts of a histogram fall from one bound to the next")
    return Counts(
        requests=count(sum(value for _, value in by_status)),
        errors=count(sum(value for status, value in by_status if status.startswith("5"))),
        buckets=dict(whole),
        work=_one(samples, family.work),
        room=_one(samples, family.room),
        started=started,
    )


def _is_users(one: Sample, family: Family) -> bool:
    return all(one.labels.get(label) in values for label, values in family.only.items())


def _status(one: Sample, family: Family) -> str:
    return next((one.labels[label] for label in family.status if label in one.labels), "")


def _one(samples: list[Sample], name: str) -> float | None:
    found = [one.value for one in samples if name and one.name == name]
    return found[0] if len(found) == 1 and math.isfinite(found[0]) and found[0] >= 0 else None


def _bound(text: str) -> float:
    try:
        bound = float(text)
    except ValueError as error:
        raise Malformed(f"{text[:40]!r} is no bound of a histogram") from error
    if math.isnan(bound):
        raise Malformed("NaN is no bound of a histogram")
    return bound


def count(value: float) -> int:
    """A counter's value as a whole number. Raises Malformed."""
    if not math.isfinite(value) or value < 0 or value > 2**53:
        raise Malformed(f"{value} is no count")
    return int(value)
