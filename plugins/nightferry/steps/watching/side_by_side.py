"""Do several things side by side, none of which can hold up the others: what takes too long is left to itself."""

from __future__ import annotations

import queue
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from nightferry.clients.clock import Clock

T = TypeVar("T")
AT_ONCE = 16
"""So many of one system are begun before one is over. They wait for that system most of the time."""
IN_ALL = 64
"""So many of all systems."""
POLL = 0.2


class TooSlow(Exception):
    """It was not over in its time, and goes on without anybody who waits for it."""


def side_by_side(
    jobs: Mapping[str, Callable[[], T]],
    seconds: float,
    clock: Clock,
    at_once: int = AT_ONCE,
    system: Callable[[str], str] = lambda name: "",
) -> Iterator[tuple[str, T | Exception]]:
    """Each job's name with what it returned or raised, as they end; `TooSlow` where it was not over in time.

    A job that is not over keeps its thread, which ends with the process, and no other job waits for its place.

    Args:
        jobs: what to do.
        seconds: how long each may take once it has begun.
        clock: for that.
        at_once: how many of one system are done at once.
        system: which system a job waits for.
    """
    ended: queue.Queue[tuple[str, T | Exception]] = queue.Queue()
    waiting, begun = defaultdict[str, deque[str]](deque), dict[str, float]()
    for name in jobs:
        waiting[system(name)].append(name)

    def do(name: str) -> None:
        try:
            ended.put((name, jobs[name]()))
        except Exception as fault:
            ended.put((name, fault))

    while any(waiting.values()) or begun:
        busy = Counter(map(system, begun))
        for where, names in waiting.items():
            while names and busy[where] < at_once and len(begun) < IN_ALL:
                name = names.popleft()
                busy[where] += 1
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
