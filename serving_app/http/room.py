"""What the connections of one listener may take together: places, bytes of bodies, bytes of answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from serving_app.http.head import HeadError
from serving_app.runtime.journal import log
from serving_app.runtime.metrics import Row
from serving_app.settings import Settings

if TYPE_CHECKING:
    from serving_app.http.connection import Connection

SURPLUS = 32
"""Connections past the limit that may say, for a moment, that they are probes."""
LOG_AGAIN_SECONDS = 60.0


class Room:
    """Knows the open connections of a listener, and whom to close when there are too many.

    Args:
        limit: of connections.
    """

    def __init__(self, limit: int, config: Settings, row: Row, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._max_held = config.max_held_bytes
        self._max_unsent = config.max_unsent_bytes
        self._row = row
        self._clock = clock
        self.connections: dict[Connection, None] = {}
        self._held = 0
        self._unsent = 0
        self._logged = float("-inf")

    def enter(self, newest: Connection) -> None:
        """Take a new connection. Past the limit the one that has been idle, or sent a head, the longest makes room."""
        self.connections[newest] = None
        if len(self.connections) <= self._limit:
            return
        if not self.shed(newest):
            surplus = [each for each in self.connections if each.surplus and not (each.busy or each.closing)]
            if len(surplus) >= SURPLUS:
                surplus[0].refuse(too_many())
            newest.surplus = True

    def shed(self, newest: Connection | None = None) -> bool:
        """Close a connection that loses little by it; False if there is none."""
        others = [each for each in self.connections if each is not newest and not each.surplus]
        victim = _longest(each for each in others if each.idle) or _longest(
            each for each in others if each.reader.begun and not (each.busy or each.paused or each.reader.head)
        )
        if victim is None:
            return False
        now = self._clock()
        if now - self._logged > LOG_AGAIN_SECONDS:
            self._logged = now
            log.warning("too many connections: the longest idle are closed", extra={"data": {"limit": self._limit}})
        victim.close()
        return True

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.pop(connection, None)
        self.release(connection)
        self.sent(connection)

    def hold(self, connection: Connection, size: int) -> bool:
        """Count bytes that have come; False if they are too many."""
        if self._held + size > self._max_held:
            return False
        connection.held += size
        self._held += size
        return True

    def release(self, connection: Connection) -> None:
        """A connection's bytes are no longer needed."""
        self._held -= connection.held
        connection.held = 0

    def unsent(self, connection: Connection, size: int) -> None:
        """Count bytes of an answer that its client does not take. If there are too many, those who have been taking
        theirs the longest are cut."""
        connection.unsent = size
        self._unsent += size
        while self._unsent > self._max_unsent:
            victim = _longest(each for each in self.connections if each.unsent and each is not connection)
            if victim is None:
                return
            self._row.refused("unsent")
            victim.close()

    def sent(self, connection: Connection) -> None:
        """A connection's answer has been taken."""
        self._unsent -= connection.unsent
        connection.unsent = 0

    def tick(self, now: float) -> None:
        """Look at what has taken too long."""
        for connection in list(self.connections):
            connection.check_time(now)


def too_many() -> HeadError:
    """Return what a connection is told for which there is no place."""
    return HeadError(503, "connection", "too many connections", "connections")


def _longest(connections: Iterable[Connection]) -> Connection | None:
    return min(connections, key=lambda connection: connection.since, default=None)
