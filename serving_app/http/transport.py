"""The connections of one worker: bytes in until a request is whole, bytes out, and what takes too long."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import time
from collections.abc import Callable

from serving_app.errors import RequestError
from serving_app.http import answer as answers
from serving_app.http.access import log_request
from serving_app.http.answer import Answer, refusal
from serving_app.http.body import Chunks
from serving_app.http.connection import Connection
from serving_app.http.head import END, Head, HeadError, parse
from serving_app.http.lifetime import is_over, last_moment
from serving_app.runtime.browsers import Browsers
from serving_app.runtime.journal import log
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Row, route_of
from serving_app.runtime.trace import go_on, request_id
from serving_app.settings import Settings

READ, WRITE = select.POLLIN, select.POLLOUT
BROKEN = select.POLLERR | select.POLLHUP
RECEIVE = 64 * 1024
LINGER_SECONDS = 2.0


class Transport:
    """Moves bytes. Only the loop's thread may call it.

    Args:
        handle: is given each request when it is whole; `answer` is called for it, then or later.
        clock: gives seconds that only go on.
    """

    def __init__(
        self,
        poller: select.epoll | select.poll,
        config: Settings,
        lifecycle: Lifecycle,
        row: Row,
        handle: Callable[[Connection, Head, bytes], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._poller = poller
        self._config = config
        self._browsers = Browsers(config.cors_origins)
        self._lifecycle = lifecycle
        self._row = row
        self._handle = handle
        self._clock = clock
        self.connections: dict[int, Connection] = {}
        self._held = 0
        self._date = answers.date()

    def has(self, connection: Connection) -> bool:
        """Whether it is still open; its number may be another's by now."""
        return self.connections.get(connection.fd) is connection

    def add(self, sock: socket.socket, address: str) -> None:
        """Take a new connection."""
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        now = self._clock()
        until = last_moment(now, self._config.max_connection_age_seconds, random.random())  # noqa: S311 (no secret)
        connection = Connection(sock, address, now, until)
        self.connections[connection.fd] = connection
        self._poller.register(connection.fd, READ)
        self._row.connected(len(self.connections))
        if len(self.connections) > self._config.max_connections:
            self._make_room(connection)

    def _make_room(self, newest: Connection) -> None:
        idle = [connection for connection in self.connections.values() if connection.idle and connection is not newest]
        if idle:
            self.close(min(idle, key=lambda connection: connection.since))
        else:
            self.refuse(newest, RequestError(503, "connection", "too many connections"), "connections")

    def close(self, connection: Connection) -> None:
        """Forget a connection."""
        if not self.has(connection):
            return
        del self.connections[connection.fd]
        self._release(connection)
        if not connection.gone:
            with contextlib.suppress(OSError, ValueError):
                self._poller.unregister(connection.fd)
        connection.sock.close()
        self._row.connected(len(self.connections))

    def watch(self, connection: Connection, events: int) -> None:
        """Choose what the kernel shall tell of it."""
        if not connection.gone:
            self._poller.modify(connection.fd, events)

    def event(self, connection: Connection, event: int) -> None:
        """Do what the kernel, or an answer that was sent (0), makes possible now."""
        try:
            if connection.busy:
                if event & BROKEN:
                    self._poller.unregister(connection.fd)
                    connection.gone = True
            elif event & WRITE and connection.out is not None:
                self._send_rest(connection)
            elif event & (READ | BROKEN):
                self._read(connection)
            elif not event:
                self._go_on(connection)
        except HeadError as error:
            self.refuse(connection, error)
        except Exception:
            # Nothing is known to get here; if something does, it must not take the other connections with it.
            log.exception("connection dropped")
            self.close(connection)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            self.close(connection)
            return
        if not data:
            connection.ended = True
            if not connection.out:
                self.close(connection)
            return
        if connection.lingering:
            return
        if connection.head is None and not connection.buffer:
            end = data.find(END)
            if end > 0 and data[0] > 32:
                # Nearly every request comes in one piece.
                head = parse(data[:end])
                start = end + len(END)
                if len(data) - start == head.length and not head.chunked:
                    self._handle(connection, head, data[start:])
                    return
            connection.since = self._clock()
        connection.buffer += data
        self._go_on(connection)

    def _go_on(self, connection: Connection) -> None:
        """Answer what is whole in the buffer, one request after the other.

        Raises:
            HeadError: a request is refused.
        """
        while self.has(connection) and not (connection.busy or connection.out or connection.lingering):
            if connection.head is None:
                connection.head = connection.take_head()
                if connection.head is None or not self._expect_body(connection, connection.head):
                    return
            body = connection.take_body()
            if body is None:
                if connection.chunks is not None:
                    self._reserve(connection, connection.chunks.size)
                return
            head, connection.head, connection.chunks = connection.head, None, None
            self._handle(connection, head, body)

    def _expect_body(self, connection: Connection, head: Head) -> bool:
        if head.length > self._config.max_body_bytes:
            raise HeadError(413, "body", "the body is larger than this service takes")
        if head.chunked:
            connection.chunks = Chunks(self._config.max_body_bytes)
        elif not self._reserve(connection, head.length):
            return False
        if head.waits and not connection.buffer and (head.length or head.chunked):
            with contextlib.suppress(OSError):
                connection.sock.send(answers.CONTINUE)
        return True

    def _reserve(self, connection: Connection, size: int) -> bool:
        self._held += size - connection.reserved
        connection.reserved = size
        if self._held > self._config.max_held_bytes:
            self.refuse(connection, RequestError(503, "body", "too many bodies are on their way; try again"), "memory")
            return False
        return True

    def _release(self, connection: Connection) -> None:
        self._held -= connection.reserved
        connection.reserved = 0

    def answer(self, connection: Connection, head: Head, name: str, answer: Answer, seconds: float) -> None:
        """Count a request's answer and send it."""
        self._row.in_flight(-1)
        self._row.request(route_of(head.path), str(answer.status), seconds)
        leave = connection.ended or self._lifecycle.draining or is_over(connection, self._clock())
        keep = head.keep and not leave
        more = b"" if keep and head.minor else b"Connection: keep-alive\r\n" if keep else b"Connection: close\r\n"
        trace = go_on(head.fields["traceparent"]) if "traceparent" in head.fields else None
        if trace is not None:
            more += b"traceparent: %b\r\n" % trace[1].encode()
        more += self._browsers.lines(head.fields.get("origin"))
        if self._config.access_log or (answer.status >= 500 and answer.status != 503):  # those are counted
            log_request(head, name, trace, answer, seconds)
        data = answers.encode(answer, date=self._date, request_id=name, more=more, body=head.method != "HEAD")
        self._send(connection, data, last=not keep)

    def refuse(self, connection: Connection, error: RequestError, reason: str | None = None) -> None:
        """Answer a request that nobody will read to its end."""
        if reason:
            self._row.refused(reason)
        head = connection.head
        connection.head = connection.chunks = None
        connection.buffer.clear()
        self._release(connection)
        self._row.request(route_of(head.path) if head else "other", str(error.status), 0.0)
        answer = refusal(error, retry_seconds=1 if error.status == 503 else 0)
        more = b"Connection: close\r\n" + self._browsers.lines(head.fields.get("origin") if head else None)
        data = answers.encode(answer, date=self._date, request_id=request_id(None), more=more, body=True)
        self._send(connection, data, last=True)

    def _send(self, connection: Connection, data: bytes, *, last: bool) -> None:
        if connection.reserved:
            self._release(connection)
        connection.closing = last
        connection.since = self._clock()
        if connection.gone:
            self.close(connection)
            return
        try:
            sent = connection.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close(connection)
            return
        if sent < len(data):
            connection.out = memoryview(data)[sent:]
            self.watch(connection, WRITE)
        elif last:
            self._linger(connection)

    def _send_rest(self, connection: Connection) -> None:
        if connection.out is None:
            return
        try:
            sent = connection.sock.send(connection.out)
        except BlockingIOError:
            return
        except OSError:
            self.close(connection)
            return
        connection.since = self._clock()
        connection.out = connection.out[sent:] if sent < len(connection.out) else None
        if connection.out is not None:
            return
        if connection.closing:
            self._linger(connection)
            return
        self.watch(connection, READ)
        self._go_on(connection)

    def _linger(self, connection: Connection) -> None:
        """Close without cutting off the answer: the client may still be sending (RFC 9112, 9.6)."""
        if connection.ended:
            self.close(connection)
            return
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close(connection)
            return
        connection.lingering = True
        connection.since = self._clock()
        self.watch(connection, READ)

    def tick(self, now: float) -> None:
        """Look at what has taken too long."""
        self._date = answers.date()
        for connection in list(self.connections.values()):
            if not connection.busy:
                self._check_time(connection, now - connection.since)

    def _check_time(self, connection: Connection, age: float) -> None:
        config = self._config
        if connection.lingering or connection.out is not None:
            if age > (LINGER_SECONDS if connection.lingering else config.send_seconds):
                self.close(connection)
        elif connection.head is not None:
            if age > config.body_seconds:
                self.refuse(connection, RequestError(408, "body", "it took too long to arrive"))
        elif connection.buffer:
            if age > config.head_seconds:
                self.refuse(connection, RequestError(408, "headers", "they took too long to arrive"))
        elif age > config.idle_seconds:
            self.close(connection)
