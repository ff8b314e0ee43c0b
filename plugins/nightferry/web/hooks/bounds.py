"""How much a flood may cost: bodies that are read at once, refusals a minute, and deliveries that came before."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

AT_ONCE = 16
"""Bodies of up to 1 MB that are read or checked at the same time."""
OF_ONE = AT_ONCE // 2
"""Those of one address: bodies that drip leave room for others."""
SLOW = 10
"""A body that does not come in time takes a place so long that it counts as so many bad signatures."""
REFUSED_A_MINUTE = 120
"""Bad signatures from one address; after that it is answered without a look at what it sends."""
REMEMBERED = 2048


class Bounds:
    """Counts, in this process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._busy: Counter[str] = Counter()
        self._refused: OrderedDict[str, deque[float]] = OrderedDict()
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def enter(self, client: str) -> bool:
        """Whether a request from this address may be read; then `leave` has to follow."""
        with self._lock:
            full = self._busy.total() >= AT_ONCE or self._busy[client] >= OF_ONE
            if full or len(self._recent(client)) >= REFUSED_A_MINUTE:
                return False
            self._busy[client] += 1
            return True

    def leave(self, client: str) -> None:
        """The request is answered."""
        with self._lock:
            self._busy[client] -= 1
            self._busy += Counter()  # addresses without a request are forgotten

    def refused(self, client: str, times: int = 1) -> None:
        """Remember a bad signature."""
        with self._lock:
            self._recent(client).extend([self._now()] * times)
            while len(self._refused) > REMEMBERED:
                self._refused.popitem(last=False)

    def seen(self, content: str, seconds: float) -> bool:
        """Whether the same content came within so many seconds, under whatever delivery id; it is remembered."""
        with self._lock:
            now = self._now()
            before = self._seen.pop(content, None)
            self._seen[content] = now
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            return before is not None and now - before < seconds

    def forget(self, content: str) -> None:
        """It came to nothing, so that it may come again."""
        with self._lock:
            self._seen.pop(content, None)

    def _recent(self, client: str) -> deque[float]:
        times = self._refused.setdefault(client, deque(maxlen=REFUSED_A_MINUTE))
        self._refused.move_to_end(client)
        while times and self._now() - times[0] > 60:
            times.popleft()
        return times
