"""A look for what comes next, for a moment, before the loop goes to sleep.

Waking up costs more than a small model does: a processor with nothing to do sleeps deeper than its process. A caller
that asks again as soon as it has its answer, from the same machine or the next one, is met awake. Looking costs
processor time, so it is given up, for ever longer, as long as nothing comes.
"""

from __future__ import annotations

import select
import time

SECONDS = 150e-6
"""Of a look. A client next door needs about 60 µs for its next request."""
LONGEST_REST = 4096
"""Turns of the loop without a look, at most."""


class Patience:
    """The poller of a loop.

    Args:
        poller: tells what the kernel has to say.
        cpus: with a single one, looking would keep the caller from running.
    """

    def __init__(self, poller: select.epoll | select.poll, cpus: int) -> None:
        self._poll = poller.poll
        self._rest = 0 if cpus > 1 else -1
        self._pause = 1
        """Turns without a look after the last one that found nothing."""

    def events(self, timeout: float) -> list[tuple[int, int]]:
        """Return what there is, at the latest after `timeout` (in the poller's own unit)."""
        if self._rest:
            self._rest -= 1
            return self._poll(timeout)
        end = time.perf_counter() + SECONDS
        while not (events := self._poll(0)):
            if time.perf_counter() >= end:
                self._rest = self._pause = min(2 * self._pause, LONGEST_REST)
                return self._poll(timeout)
        self._pause = 1
        return events
