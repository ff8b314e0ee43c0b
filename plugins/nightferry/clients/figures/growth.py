"""What a release's instances counted together since they were first looked at.

An instance is one process: a pod's, one worker's, one gateway's. What it had counted when it was first seen was not in
anybody's window. What it lost by ending is kept as it was last read. So the sums never fall, whoever comes and goes,
and nobody's past is counted as if it had just happened: at worst what lay between two looks is missing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable

from nightferry.clients.figures.counts import Counts
from nightferry.entities.judging.service_figures import Snapshot

Key = tuple[Hashable, float | None]
"""An instance, and when its process began, where it says that."""


class Growth:
    """Of one release. Who is asked through one address may be several processes with counts of their own: what is less
    than was read before is another one's, and is passed over."""

    def __init__(self) -> None:
        self._first: dict[Key, Counts] = {}
        self._last: dict[Key, Counts] = {}
        self._worked: dict[Key, tuple[dt.datetime, Counts]] = {}
        self._busy: float | None = None

    @property
    def seen(self) -> bool:
        """Whether an instance was ever read."""
        return bool(self._first)

    def knows(self, instance: Hashable) -> bool:
        """Whether this instance was ever read."""
        return any(known == instance for known, _ in self._first)

    def look(self, at: dt.datetime, found: dict[Hashable, Counts]) -> Snapshot:
        """Take what instances count now; the sums."""
        for instance, counts in found.items():
            key = (instance, counts.started)
            self._first.setdefault(key, counts)
            if not counts.fell_below(self._last.get(key, counts)):
                self._last[key] = counts
        self._work(at, found)
        return self._snapshot(at)

    def _work(self, at: dt.datetime, found: dict[Hashable, Counts]) -> None:
        """How busy those are that were there at the last look too."""
        work = room = 0.0
        for instance, now in found.items():
            key = (instance, now.started)
            since, then = self._worked.get(key, (at, now))
            seconds = (at - since).total_seconds()
            if now.work is not None and then.work is not None and now.room and now.work >= then.work and seconds > 0:
                work += now.work - then.work
                room += now.room * seconds
            self._worked[key] = (at, now)
        self._busy = min(1.0, work / room) if room else None

    def _snapshot(self, at: dt.datetime) -> Snapshot:
        pairs = [(self._first[key], last) for key, last in self._last.items()]
        timed = [set(last.buckets) for _, last in pairs if last.buckets]
        # Nobody's histogram has other bounds than its neighbour's, unless somebody changed them; then what both have.
        bounds = set.intersection(*timed) if timed else set()
        return Snapshot(
            at=at,
            requests=sum(last.requests - first.requests for first, last in pairs),
            errors=sum(last.errors - first.errors for first, last in pairs),
            buckets={
                bound: sum(last.buckets.get(bound, 0) - first.buckets.get(bound, 0) for first, last in pairs)
                for bound in sorted(bounds)
            },
            busy=self._busy,
        )
