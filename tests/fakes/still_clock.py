"""A clock that moves only when it is told to."""

from __future__ import annotations

import datetime as dt


class StillClock:
    """Stands at `start`; `sleep` and `advance` move it."""

    def __init__(self, start: dt.datetime | str = "2026-11-21T01:00:00+00:00") -> None:
        self.time = dt.datetime.fromisoformat(start) if isinstance(start, str) else start
        self.slept = 0.0

    def now(self) -> dt.datetime:
        return self.time.astimezone(dt.UTC)

    def monotonic(self) -> float:
        return self.time.timestamp()

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.time += dt.timedelta(seconds=seconds)
