"""The one door to the time of day, so that a test can hold it still."""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol

CLOCK_ERROR = dt.timedelta(minutes=10)
"""How far two machines' clocks may be apart."""


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> dt.datetime:
        """The time, with zone UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for deadlines."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        """The time, with zone UTC."""
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
