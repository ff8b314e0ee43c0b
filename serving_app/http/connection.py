"""One client's connection: what it has sent so far, and what it has still to be sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from serving_app.errors import RequestError
from serving_app.http import answer as answers
from serving_app.http.head import HeadError
from serving_app.http.lifetime import last_moment
from serving_app.http.reading import Reader
from serving_app.http.room import Room, too_many
from serving_app.runtime.journal import log
from serving_app.settings import Settings

if TYPE_CHECKING:
    from serving_app.http.answering import Answering

LINGER_SECONDS = 2.0
SURPLUS_SECONDS = 0.5
"""Time that a connection past the limit has to say that it is a probe."""
SEND_RATE = 64 * 1024
"""Bytes a second: a client takes its answer at least so fast, after the time that each has."""


class Connection(asyncio.Protocol):
    """State of one connection; the loop's thread alone touches it, but `left`, which the threads ask for."""

    def __init__(
        self, answering: Answering, room: Room, config: Settings, clock: Callable[[], float], *, status: bool = False
    ) -> None:
        self._answering = answering
        self._room = room
        self._config = config
        self._clock = clock
        self.status = status
        """It came to the port for probes and metrics."""
        self.transport: asyncio.Transport
        self.address = ""
        self.reader = Reader(config.max_body_bytes, self._hold)
        self._rest = bytearray()
        """What came while a request was being answered."""
        self._refused: HeadError | None = None
        """What to answer after the requests that came before."""
        self.since = self.until = self._deadline = 0.0
        self.busy = False
        """A request of it is being answered."""
        self.paused = False
        """The kernel takes no more of its answer for now."""
        self.gone = False
        """It broke off, or was closed."""
        self.ended = False
        """It will send nothing more, but may still read."""
        self.closing = False
        """Its last answer is on its way, or sent; what it still sends is thrown away."""
        self.surplus = False
        """It is one too many, and only a probe is answered on it."""
        self.held = self.unsent = 0

    @property
    def idle(self) -> bool:
        """Between two requests, with nothing of the next one."""
        return not (self.busy or self.paused or self.closing or self.more)

    @property
    def more(self) -> bool:
        """Whether something has come behind the request that is being answered."""
        return bool(self.reader.begun or self.reader.requests or self._rest or self._refused)

    @property
    def lingering(self) -> bool:
        """It got its last answer."""
        return self.closing and not self.paused

    # ---- called by the event loop ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=0)  # so that `paused` always says whether all was sent
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]).removeprefix("::ffff:") if peer else ""
        self.since = self._clock()
        self.until = last_moment(self.since, self._config.max_connection_age_seconds, random.random())  # noqa: S311 (no secret)
        self._room.enter(self)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self.closing or self.gone:
            return
        if self.busy or self.paused:
            # Who sends on without waiting is not read further; who waits is, so that its leaving is noticed.
            self.transport.pause_reading()
            self._rest += data
            if not self._hold(len(data)):
                self._refused = HeadError(503, "request", "too many bytes are on their way; try again", "memory")
                self._rest.clear()
            return
        if self.idle:
            self.since = self._clock()
        try:
            self._read(data)
            self._go_on()
        except Exception:
            self._dropped()

    def eof_received(self) -> bool:
        """Notice that the client sends nothing more. True: it may still read."""
        self.ended = True
        return self.busy or self.paused

    def connection_lost(self, exc: Exception | None) -> None:
        """Notice that the client is gone."""
        self.gone = True
        self._room.leave(self)
        self._answering.lost()

    def pause_writing(self) -> None:
        """Wait for the client to take its answer: not for ever, and not for many of them at once."""
        self.paused = True
        size = self.transport.get_write_buffer_size()
        self._deadline = self._clock() + self._config.send_seconds + size / SEND_RATE
        self._room.unsent(self, size)

    def resume_writing(self) -> None:
        """Go on: the client has taken it."""
        self.paused = False
        self._room.sent(self)
        self.since = self._clock()
        if self.closing:
            self._linger()
        else:
            self.go_on()

    # ---- called by those who answer ----

    def send(self, data: bytes, *, last: bool) -> None:
        """Send an answer; `last`, if the connection ends with it."""
        self.busy = False
        if not (self.reader.requests or self.reader.head or self._rest):
            self._room.release(self)
        if self.gone:
            return
        self.closing = last
        self.since = self._clock()
        self.transport.write(data)
        if last and not self.paused:
            self._linger()

    def refuse(self, error: RequestError) -> None:
        """Answer a request that nobody will read to its end."""
        self._answering.refuse(self, error)

    def close(self) -> None:
        """End at once."""
        self.gone = True
        self._room.leave(self)
        self.transport.abort()

    def go_on(self) -> None:
        """Hand on the next request that is whole, if nothing is in its way."""
        try:
            self._go_on()
        except Exception:
            self._dropped()

    def check_time(self, now: float) -> None:
        """End what has taken too long."""
        age = now - self.since
        if self.paused:
            if now > self._deadline:
                self.close()
        elif self.closing:
            if age > LINGER_SECONDS:
                self.close()
        elif not self.busy:
            self._check_request(age)

    def _check_request(self, age: float) -> None:
        if self.surplus and age > SURPLUS_SECONDS:
            self.refuse(too_many())
        elif self.reader.head is not None:
            if age > self._config.body_seconds:
                self.refuse(RequestError(408, "body", "it took too long to arrive"))
        elif self.reader.begun:
            if age > self._config.head_seconds:
                self.refuse(RequestError(408, "headers", "they took too long to arrive"))
        elif age > self._config.idle_seconds:
            self.close()

    # ---- own ----

    def _hold(self, size: int) -> bool:
        return self._room.hold(self, size)

    def _read(self, data: bytes) -> None:
        try:
            taken = self.reader.feed(data)
        except HeadError as error:
            self._refused = error
            return
        if taken < len(data) and not self.reader.finished:
            self._rest += data[taken:]

    def _go_on(self) -> None:
        reader = self.reader
        while not (self.busy or self.paused or self.closing or self.gone):
            if reader.requests:
                head, body = reader.requests.popleft()
                self.busy = True
                self._answering.handle(self, head, body)
            elif self._refused:
                self.refuse(self._refused)
            elif self._rest:
                rest, self._rest = bytes(self._rest), bytearray()
                self._read(rest)
            else:
                self._wait()
                return

    def _wait(self) -> None:
        """For what comes next."""
        if self.ended:
            self.close()
            return
        if not self.transport.is_reading():
            self.transport.resume_reading()
        head = self.reader.head
        if head is not None and head.waits and not self.reader.arrived:
            head.waits = False
            self.transport.write(answers.CONTINUE)

    def _linger(self) -> None:
        """Close without cutting off the answer: the client may still be sending (RFC 9112, 9.6)."""
        if self.ended:
            self.close()
            return
        self.transport.write_eof()
        if not self.transport.is_reading():
            self.transport.resume_reading()

    def _dropped(self) -> None:
        # Nothing is known to get here; if something does, it must not take the other connections with it.
        log.exception("connection dropped")
        self.close()
