"""Says how far a long look is: a line on stderr every two seconds, and nothing where it is quick."""

from __future__ import annotations

import sys

from nightferry.clients.clock import Clock, SystemClock

EVERY = 2.0
"""Seconds."""


class Telling:
    """Call it as often as you like."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._last = self._clock.monotonic()

    def __call__(self, words: str) -> None:
        """Say it, if nothing was said for a while."""
        now = self._clock.monotonic()
        if now - self._last >= EVERY:
            self._last = now
            print(words, file=sys.stderr, flush=True)
