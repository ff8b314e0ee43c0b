"""The loop of one worker: new connections, events, time, and the end."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Callable
from typing import NoReturn

from serving_app.errors import RequestError
from serving_app.http.dispatch import Dispatcher
from serving_app.http.front import Front
from serving_app.http.patience import Patience
from serving_app.http.transport import READ, Transport
from serving_app.runtime.cpus import usable_cpus
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Row
from serving_app.settings import Settings

TICK = 0.25
"""Seconds between two looks at what has taken too long."""
YIELD_SECONDS = 0.001
"""A worker with more connections than another leaves it so long to take the next one."""
LAST_WORDS = 0.1
"""A connection that came just before the end has so long to send its request."""
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._listener = listener
        self._row = row
        self._peers = peers
        self._poller = select.epoll() if hasattr(select, "epoll") else select.poll()
        self._per_second = 1 if hasattr(select, "epoll") else 1000  # epoll counts seconds, poll milliseconds
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._dispatcher = Dispatcher(front, config, row, self._wake, quick=quick)
        self._transport = Transport(self._poller, config, lifecycle, row, self._dispatcher.request, clock)
        self._dispatcher.transport = self._transport
        self._connections = self._transport.connections
        self._accept_at = 0.0
        self._accepting = False
        self._insist = False
        self._stopping = 0.0
        self._stuck = False

    def run(self) -> None:
        """Serve until `stop`, then answer what is being answered."""
        self._listener.setblocking(False)
        self._poller.register(self._wake_read, READ)
        self._accept_again(True)
        next_tick = 0.0
        patience = Patience(self._poller, usable_cpus())
        while not (self._stopping and self._may_end()):
            timeout = YIELD_SECONDS if self._accept_at else TICK
            for fd, event in patience.events(timeout * self._per_second):
                connection = self._connections.get(fd)
                if connection is not None:
                    self._transport.event(connection, event)
                elif fd == self._wake_read:
                    self._woken()
                elif self._accepting:
                    self._accept()
            self._dispatcher.turn()
            now = self._clock()
            if self._accept_at and now >= self._accept_at:
                self._accept_again(True)
            if now >= next_tick:
                next_tick = now + TICK
                self._row.beat(now)
                self._row.queue(self._dispatcher.waiting)
                self._transport.tick(now)

    def stop(self) -> None:
        """Take no new connection, close idle ones, and let `run` return once the rest is answered."""
        self._stopping = self._stopping or self._clock()
        self._wake()

    def give_up(self) -> None:
        """End the process soon: its model is stuck. Who waits for an answer is told."""
        self._stuck = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"x")

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        if self._stuck:
            self._tell_all()
        self._dispatcher.collect()

    def _tell_all(self) -> NoReturn:
        for connection in list(self._connections.values()):
            if connection.busy:
                connection.busy = False
                self._transport.refuse(connection, RequestError(503, "request", "the model is stuck; try again"))
        os._exit(STUCK)

    def _accept_again(self, on: bool) -> None:
        self._accept_at = 0.0 if on else self._clock() + YIELD_SECONDS
        if on != self._accepting:
            self._accepting = on
            if on:
                self._poller.register(self._listener.fileno(), READ)
            else:
                self._poller.unregister(self._listener.fileno())
        self._insist = on

    def _accept(self) -> None:
        if any(peer.alive and peer.connections < len(self._connections) for peer in self._peers) and not self._insist:
            self._accept_again(False)
            return
        self._insist = False
        try:
            sock, address = self._listener.accept()
        except OSError:  # another worker took it, it is gone again, or no file is left
            return
        self._transport.add(sock, str(address[0]))

    def _may_end(self) -> bool:
        """Whether a stopping loop has nothing left to answer; closes what is idle."""
        if self._accepting:
            before = -1
            while len(self._connections) > before:  # whoever already stands in the kernel's queue is still served
                before, self._insist = len(self._connections), True
                self._accept()
            self._accept_again(False)
        self._accept_at = 0.0
        fresh = self._clock() - self._stopping < LAST_WORDS
        for connection in list(self._connections.values()):
            new = fresh and connection.since > self._stopping - LAST_WORDS
            if connection.lingering or (connection.idle and not new):
                self._transport.close(connection)
        return not self._connections
