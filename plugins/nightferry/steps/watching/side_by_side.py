"""Do several things side by side, none of which can hold up the others: what takes too long is left to itself."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from nightferry.clients.clock import Clock

T = TypeVar("T")
AT_ONCE = 16
"""So many are begun before one is over. They wait for other systems most of the time."""
POLL = 0.2


class TooSlow(Exception):
    """It was not over in its time, and goes on without anybody who waits for it."""


def side_by_side(
    jobs: Mapping[str, Callable[[], T]], seconds: float, clock: Clock, at_once: int = AT_ONCE
) -> Iterator[tuple[str, T | Exception]]:
    """Each job's name with what it returned or raised, as they end; `TooSlow` where it was not over in time.

    A job that is not over keeps its thread, which ends with the process, and no other job waits for its place.

    Args:
        jobs: what to do.
        seconds: how long each may take once it has begun.
        clock: for that.
        at_once: how many are done at once.
    """
    ended: queue.Queue[tuple[str, T | Exception]] = queue.Queue()
    waiting, begun = list(jobs), dict[str, float]()

    def do(name: str) -> None:
        try:
            ended.put((name, jobs[name]()))
        except Exception as fault:
            ended.put((name, fault))

    while waiting or begun:
        while waiting and len(begun) < at_once:
            name = waiting.pop(0)
            begun[name] = clock.monotonic()
            threading.Thread(target=do, args=(name,), name=f"look {name}", daemon=True).start()
        try:
            name, result = ended.get(timeout=POLL)
        except queue.Empty:
            for name in [name for name, since in begun.items() if clock.monotonic() - since > seconds]:
                del begun[name]
                yield name, TooSlow(f"not over after {seconds:g} s")
            continue
        if begun.pop(name, None) is not None:
            yield name, result
