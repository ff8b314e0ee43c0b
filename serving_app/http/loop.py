"""The loop of one worker: new connections, time, and the end."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import Callable

import uvloop

from serving_app.errors import RequestError
from serving_app.http.answering import Answering
from serving_app.http.connection import Connection
from serving_app.http.dispatch import Dispatcher
from serving_app.http.front import Front
from serving_app.http.room import Room
from serving_app.runtime import descriptors
from serving_app.runtime.journal import log
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Row
from serving_app.settings import Settings

TICK = 0.25
"""Seconds between two looks at what has taken too long."""
YIELD_SECONDS = 0.001
"""A worker with more connections than another leaves it so long to take the next one."""
FULL_SECONDS = 0.05
"""Where no descriptor is left, so long nobody is taken."""
LAST_WORDS = 0.1
"""A connection that came just before the end has so long to send its request."""
STATUS_CONNECTIONS = 64
"""On the port for probes and metrics."""
STUCK = 4
"""Exit code of a worker whose model could not be cut."""


class Loop:
    """Serves the connections of one worker.

    Args:
        listener: shared by all workers.
        front: computes answers.
        config: limits and times.
        lifecycle: says when the service drains.
        row: this worker's metrics.
        peers: the other workers' metrics: who has fewer connections takes the next one.
        quick: whether the model's first inferences were.
        status: listens for probes and scrapers alone, if there is such a port.
        clock: gives seconds that only go on.
    """

    def __init__(
        self,
        listener: socket.socket,
        front: Front,
        config: Settings,
        lifecycle: Lifecycle,
        row: Row,
        peers: list[Row],
        *,
        quick: bool,
        status: socket.socket | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._clock = clock
        self._row = row
        self._peers = peers
        self._loop = uvloop.new_event_loop()
        self._answering = Answering(config, lifecycle, row, self._lost, clock)
        self._dispatcher = Dispatcher(self._loop, front, config, row, self._answering, quick=quick)
        self._answering.handle = self._dispatcher.request
        places = min(config.max_connections, descriptors.left() - STATUS_CONNECTIONS)
        self._room = Room(places, config, row, clock)
        self._rooms = {listener: self._room}
        if status is not None:
            self._rooms[status] = Room(STATUS_CONNECTIONS, config, row, clock)
        self._arriving: set[asyncio.Task[object]] = set()
        self._stopping: float | None = None
        self._listener = listener

    def run(self) -> None:
        """Serve until `stop`, then answer what is being answered."""
        for listener in self._rooms:
            listener.setblocking(False)
            self._loop.add_reader(listener, self._accept, listener)
        self._tick()
        self._loop.run_forever()
        self._loop.close()

    def stop(self) -> None:
        """Take no new connection, close idle ones, and let `run` return once the rest is answered."""
        self._loop.call_soon_threadsafe(self._stop)

    def give_up(self) -> None:
        """End the process soon: its model is stuck. Who waits for an answer is told."""
        self._loop.call_soon_threadsafe(self._tell_all)

    def _tick(self) -> None:
        now = self._clock()
        self._row.beat(now)
        self._row.queue(self._dispatcher.waiting)
        self._row.room(self._dispatcher.places)
        self._answering.tick()
        for room in self._rooms.values():
            room.tick(now)
        self._loop.call_later(TICK, self._tick)

    def _tell_all(self) -> None:
        for room in self._rooms.values():
            for connection in list(room.connections):
                if connection.busy:
                    connection.refuse(RequestError(503, "request", "the model is stuck; try again"))
        os._exit(STUCK)

    # ---- new connections ----

    def _accept(self, listener: socket.socket, *, insist: bool = False) -> bool:
        """Take one; False if there is none, or it is left to a worker that has fewer."""
        if listener is self._listener and not insist:
            mine = len(self._room.connections) + len(self._arriving)
            if any(peer.alive and peer.connections < mine for peer in self._peers):
                self._rest(listener, YIELD_SECONDS)
                return False
        try:
            sock, _ = listener.accept()
        except OSError as error:  # another worker took it, or it is gone again…
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):  # …or there is no room for it
                if not self._room.shed():
                    log.error("no connection can be taken: %s", error.strerror)
                self._rest(listener, FULL_SECONDS)
            return False
        sock.setblocking(False)
        task = self._loop.create_task(self._take(sock, self._rooms[listener], status=listener is not self._listener))
        self._arriving.add(task)
        task.add_done_callback(self._arrived)
        return True

    async def _take(self, sock: socket.socket, room: Room, *, status: bool) -> None:
        def begin() -> Connection:
            return Connection(self._answering, room, self._config, self._clock, status=status)

        await self._loop.connect_accepted_socket(begin, sock)

    def _arrived(self, task: asyncio.Task[object]) -> None:
        self._arriving.discard(task)
        if not task.cancelled() and task.exception():
            log.error("connection lost on arrival", exc_info=task.exception())
        self._row.connected(len(self._room.connections))

    def _rest(self, listener: socket.socket, seconds: float) -> None:
        self._loop.remove_reader(listener)
        self._loop.call_later(seconds, self._listen_again, listener)

    def _listen_again(self, listener: socket.socket) -> None:
        if self._stopping is None:
            self._loop.add_reader(listener, self._accept, listener)
            self._accept(listener, insist=True)

    def _lost(self) -> None:
        self._row.connected(len(self._room.connections))

    # ---- the end ----

    def _stop(self) -> None:
        if self._stopping is not None:
            return
        self._stopping = self._clock()
        for listener in self._rooms:
            while self._accept(listener, insist=True):  # whoever already stands in the kernel's queue is still served
                pass
            self._loop.remove_reader(listener)
        self._end_when_answered(self._loop.time() + LAST_WORDS)

    def _end_when_answered(self, fresh_until: float) -> None:
        """Close what is idle; come back until nothing is left to answer."""
        fresh = self._loop.time() < fresh_until
        for room in self._rooms.values():
            for connection in list(room.connections):
                new = fresh and self._stopping is not None and connection.since > self._stopping - LAST_WORDS
                if connection.lingering or (connection.idle and not new):
                    connection.close()
        if self._arriving or any(room.connections for room in self._rooms.values()):
            self._loop.call_later(LAST_WORDS / 4, self._end_when_answered, fresh_until)
        else:
            self._loop.stop()
