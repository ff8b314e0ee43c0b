"""Figures of releases that a test counts itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from nightferry.entities.judging.service_figures import Snapshot
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary

from tests.fakes.still_clock import StillClock

BOUNDS = (*(round(0.001 * 1.1220184543**step, 6) for step in range(81)), math.inf)
"""Each an eighth above the one before, 1 ms to 10 s: as fine as the stock service's."""


class MemoryFigures:
    """What `serve` said happened; `away` makes it silent, `without` are releases that count nothing."""

    def __init__(self, clock: StillClock) -> None:
        self.clock = clock
        self.away = False
        self.without: set[str] = set()
        self.busy: dict[str, float] = {}
        self._seconds: dict[str, Counter[float]] = {}
        self._errors: dict[str, int] = {}

    def serve(self, release: str, seconds: Iterable[float], errors: int = 0) -> None:
        """Count requests that took so long each, of which so many failed."""
        self._seconds.setdefault(release, Counter()).update(seconds)
        self._errors[release] = self._errors.get(release, 0) + errors

    def read(self, release: str) -> Snapshot | None:
        if self.away:
            raise Temporary(Reason.FIGURES_UNAVAILABLE, f"The figures of {release} cannot be read.")
        if release in self.without:
            return None
        seconds = self._seconds.get(release, Counter())
        return Snapshot(
            at=self.clock.now(),
            requests=seconds.total(),
            errors=self._errors.get(release, 0),
            buckets={bound: sum(count for took, count in seconds.items() if took <= bound) for bound in BOUNDS},
            busy=self.busy.get(release),
        )
