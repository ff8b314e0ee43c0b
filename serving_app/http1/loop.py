"""The loop of one worker: it moves bytes, answers small requests itself, and hands the others to threads.

A thread costs more than a small model does (two switches of the interpreter's lock and two wake-ups), so a request is
answered in the loop as long as requests are quick. The first one that is not sends its successors to the threads, until
several in a row were quick there: so the loop stays free for probes, for refusals, and for everybody's bytes.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections import deque
from typing import NoReturn

from serving_app.errors import RequestError
from serving_app.front import Front
from serving_app.http1 import answer as answers
from serving_app.http1.answer import Answer, refusal
from serving_app.http1.body import Chunks
from serving_app.http1.connection import Connection
from serving_app.http1.head import END, Head, HeadError, parse
from serving_app.http1.work import Job, Work
from serving_app.journal import log
from serving_app.lifecycle import Lifecycle
from serving_app.metrics import Row, route_of
from serving_app.service import Call
from serving_app.settings import Settings
from serving_app.trace import go_on, request_id

READ, WRITE = select.POLLIN, select.POLLOUT
BROKEN = select.POLLERR | select.POLLHUP
RECEIVE = 64 * 1024
QUICK_SECONDS = 0.005
"""A prediction that takes longer sends the next ones to the threads…"""
QUICK_AGAIN = 8
"""…until so many in a row were quick."""
QUICK_BYTES = 64 * 1024
TOGETHER = 16
"""Requests that share one inference at most: past that the saving is small, and the first one waits."""
TICK = 0.25
"""Seconds between two looks at what has taken too long."""
YIELD_SECONDS = 0.001
"""A worker with more connections than another leaves it so long to take the next one."""
LINGER_SECONDS = 2.0
PAGE_THREADS = 2
STUCK = 4
"""Exit code of a worker whose model could not be cut."""


class Loop:
    """Serves the connections of one worker."""

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
    ) -> None:
        self._listener = listener
        self._front = front
        self._config = config
        self._lifecycle = lifecycle
        self._row = row
        self._peers = peers
        self._poller = select.epoll() if hasattr(select, "epoll") else select.poll()
        self._per_second = 1 if hasattr(select, "epoll") else 1000  # epoll counts seconds, poll milliseconds
        self._connections: dict[int, Connection] = {}
        self._held = 0
        self._slow = 0 if quick else QUICK_AGAIN
        self._accept_at = 0.0
        self._accepting = False
        self._stopping = 0.0
        self._insist = False
        self._stuck = False
        self._together: list[tuple[Connection, Head, str, float, Call]] = []
        self._date = answers.date()
        self._done: deque[Job] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._model = Work("model", config.model_workers, config.queue_seconds, self._compute, self._finished)
        self._pages = Work("page", PAGE_THREADS, config.queue_seconds, self._page, self._finished)

    def run(self) -> None:
        """Serve until `stop`, then answer what is being answered."""
        self._listener.setblocking(False)
        self._poller.register(self._wake_read, READ)
        self._accept_again(True)
        next_tick = 0.0
        while not (self._stopping and self._may_end()):
            timeout = YIELD_SECONDS if self._accept_at else TICK
            for fd, event in self._poller.poll(timeout * self._per_second):
                connection = self._connections.get(fd)
                if connection is not None:
                    self._event(connection, event)
                elif fd == self._wake_read:
                    self._collect()
                elif self._accepting:
                    self._accept()
            while self._together:
                self._compute_together()
            now = time.monotonic()
            if self._accept_at and now >= self._accept_at:
                self._accept_again(True)
            if now >= next_tick:
                next_tick = now + TICK
                self._tick(now)

    def stop(self) -> None:
        """Take no new connection, close idle ones, and let `run` return once the rest is answered."""
        self._stopping = self._stopping or time.monotonic()
        self._wake()

    def give_up(self) -> None:
        """End the process soon: its model is stuck. Who waits for an answer is told."""
        self._stuck = True
        self._wake()

    def _tell_all(self) -> NoReturn:
        for connection in list(self._connections.values()):
            if connection.busy:
                connection.busy = False
                self._refuse(connection, RequestError(503, "request", "the model is stuck; try again"))
        os._exit(STUCK)

    # Connections

    def _accept_again(self, on: bool) -> None:
        self._accept_at = 0.0 if on else time.monotonic() + YIELD_SECONDS
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
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, str(address[0]), time.monotonic())
        self._connections[connection.fd] = connection
        self._poller.register(connection.fd, READ)
        self._row.connected(len(self._connections))
        if len(self._connections) > self._config.max_connections:
            self._make_room(connection)

    def _make_room(self, newest: Connection) -> None:
        idle = [connection for connection in self._connections.values() if connection.idle and connection is not newest]
        if idle:
            self._close(min(idle, key=lambda connection: connection.since))
        else:
            self._refuse(newest, RequestError(503, "connection", "too many connections"), "connections")

    def _close(self, connection: Connection) -> None:
        if self._connections.pop(connection.fd, None) is None:
            return
        self._release(connection)
        if not connection.gone:
            with contextlib.suppress(OSError, ValueError):
                self._poller.unregister(connection.fd)
        connection.sock.close()
        self._row.connected(len(self._connections))

    def _watch(self, connection: Connection, events: int) -> None:
        if not connection.gone:
            self._poller.modify(connection.fd, events)

    # Bytes in

    def _event(self, connection: Connection, event: int) -> None:
        try:
            self._moved(connection, event)
        except HeadError as error:
            self._refuse(connection, error)
        except Exception:
            # Nothing is known to get here; if something does, it must not take the other connections with it.
            log.exception("connection dropped")
            self._close(connection)

    def _moved(self, connection: Connection, event: int) -> None:
        if connection.busy:
            if event & BROKEN:
                self._poller.unregister(connection.fd)
                connection.gone = True
        elif event & WRITE and connection.out is not None:
            self._send_rest(connection)
        elif event & (READ | BROKEN):
            self._read(connection)
        elif not event:  # it has been answered, and has sent more meanwhile
            self._go_on(connection)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)
            return
        if not data:
            connection.ended = True
            if not connection.out:
                self._close(connection)
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
                    self._request(connection, head, data[start:])
                    return
            connection.since = time.monotonic()
        connection.buffer += data
        self._go_on(connection)

    def _go_on(self, connection: Connection) -> None:
        """Answer what is whole in the buffer, one request after the other.

        Raises:
            HeadError: a request is refused.
        """
        while connection.fd in self._connections and not (connection.busy or connection.out or connection.lingering):
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
            self._request(connection, head, body)

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
            self._refuse(connection, RequestError(503, "body", "too many bodies are on their way; try again"), "memory")
            return False
        return True

    def _release(self, connection: Connection) -> None:
        self._held -= connection.reserved
        connection.reserved = 0

    # Requests

    def _request(self, connection: Connection, head: Head, body: bytes) -> None:
        if head.length > self._config.max_body_bytes:
            raise HeadError(413, "body", "the body is larger than this service takes")
        started = time.perf_counter()
        name = request_id(head.fields.get("x-request-id"))
        quick = self._front.quick(head)
        if quick is not None and not self._slow and len(body) <= QUICK_BYTES:
            self._row.in_flight(1)
            call = self._front.read(quick, body, name)
            if isinstance(call, Answer):
                self._answered(connection, head, name, call, time.perf_counter() - started)
                return
            connection.busy = True
            self._together.append((connection, head, name, started, call))
            if len(self._together) >= (TOGETHER if self._front.batches else 1):
                self._compute_together()
            return
        job = Job(connection, head, body, name, started)
        work = self._model if quick is not None or self._front.predicts(head) else self._pages
        self._row.in_flight(1)
        if work.submit(job):
            connection.busy = True
            self._watch(connection, 0)
        else:
            wait = work.expected_wait
            self._row.refused("queue")
            self._answered(connection, head, name, _busy(wait), time.perf_counter() - started)

    def _compute_together(self) -> None:
        """Answer the quick requests that came in this turn of the loop."""
        waiting, self._together = self._together, []
        start = time.perf_counter()
        answers = self._front.compute([(call, name) for _, _, name, _, call in waiting])
        now = time.perf_counter()
        if now - start > QUICK_SECONDS:
            self._slow = QUICK_AGAIN
        for (connection, head, name, started, _), answer in zip(waiting, answers, strict=True):
            connection.busy = False
            self._answered(connection, head, name, answer, now - started)
            if connection.buffer:
                self._event(connection, 0)

    def _compute(self, job: Job) -> Answer:
        quick = self._front.quick(job.head)
        if quick is None:
            return self._page(job)
        return self._front.predict(quick, job.body, job.request_id)

    def _page(self, job: Job) -> Answer:
        return self._front.flask(job.head, job.body, job.request_id, job.connection.address)

    def _finished(self, job: Job) -> None:
        self._done.append(job)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"x")

    def _collect(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        if self._stuck:
            self._tell_all()
        while self._done:
            job = self._done.popleft()
            connection = job.connection
            connection.busy = False
            self._finish(job)
            if connection.fd in self._connections and connection.out is None and not connection.lingering:
                self._watch(connection, READ)
                if connection.buffer:
                    self._event(connection, 0)

    def _finish(self, job: Job) -> None:
        now = time.perf_counter()
        model = self._front.predicts(job.head)
        work = self._model if model else self._pages
        work.unfinished -= 1
        if model:
            self._row.waited(job.started - job.arrived)
            if job.seconds > QUICK_SECONDS:
                self._slow = QUICK_AGAIN
            elif self._slow and not job.late:
                self._slow -= 1
        answer = job.answer
        if answer is None:
            self._row.refused("late")
            answer = _busy(work.expected_wait)
        self._answered(job.connection, job.head, job.request_id, answer, now - job.arrived)

    # Bytes out

    def _answered(self, connection: Connection, head: Head, name: str, answer: Answer, seconds: float) -> None:
        self._row.in_flight(-1)
        self._row.request(route_of(head.path), str(answer.status), seconds)
        keep = head.keep and not connection.ended and not self._lifecycle.draining
        more = b"" if keep and head.minor else b"Connection: keep-alive\r\n" if keep else b"Connection: close\r\n"
        trace = go_on(head.fields.get("traceparent"))
        if trace is not None:
            more += b"traceparent: %b\r\n" % trace[1].encode()
        if answer.status >= 500 or self._config.access_log:
            _log(head, name, trace, answer, seconds)
        data = answers.encode(answer, date=self._date, request_id=name, more=more, body=head.method != "HEAD")
        self._send(connection, data, last=not keep)

    def _refuse(self, connection: Connection, error: RequestError, reason: str | None = None) -> None:
        """Answer a request that nobody will read to its end."""
        if reason:
            self._row.refused(reason)
        head = connection.head
        connection.head = connection.chunks = None
        connection.buffer.clear()
        self._release(connection)
        self._row.request(route_of(head.path) if head else "other", str(error.status), 0.0)
        answer = refusal(error, retry_seconds=1 if error.status == 503 else 0)
        data = answers.encode(
            answer, date=self._date, request_id=request_id(None), more=b"Connection: close\r\n", body=True
        )
        self._send(connection, data, last=True)

    def _send(self, connection: Connection, data: bytes, *, last: bool) -> None:
        self._release(connection)
        connection.closing = last
        connection.since = time.monotonic()
        if connection.gone:
            self._close(connection)
            return
        try:
            sent = connection.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return
        if sent < len(data):
            connection.out = memoryview(data)[sent:]
            self._watch(connection, WRITE)
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
            self._close(connection)
            return
        connection.since = time.monotonic()
        connection.out = connection.out[sent:] if sent < len(connection.out) else None
        if connection.out is not None:
            return
        if connection.closing:
            self._linger(connection)
            return
        self._watch(connection, READ)
        self._go_on(connection)

    def _linger(self, connection: Connection) -> None:
        """Close without cutting off the answer: the client may still be sending (RFC 9112, 9.6)."""
        if connection.ended:
            self._close(connection)
            return
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
            return
        connection.lingering = True
        connection.since = time.monotonic()
        self._watch(connection, READ)

    # Time

    def _tick(self, now: float) -> None:
        self._date = answers.date()
        self._row.beat(now)
        self._row.queue(self._model.waiting + self._pages.waiting)
        for connection in list(self._connections.values()):
            if not connection.busy:
                self._check_time(connection, now - connection.since)

    def _check_time(self, connection: Connection, age: float) -> None:
        config = self._config
        if connection.lingering or connection.out is not None:
            if age > (LINGER_SECONDS if connection.lingering else config.send_seconds):
                self._close(connection)
        elif connection.head is not None:
            if age > config.body_seconds:
                self._refuse(connection, RequestError(408, "body", "it took too long to arrive"))
        elif connection.buffer:
            if age > config.head_seconds:
                self._refuse(connection, RequestError(408, "headers", "they took too long to arrive"))
        elif age > config.idle_seconds:
            self._close(connection)

    def _may_end(self) -> bool:
        """Whether a stopping loop has nothing left to answer; closes what is idle."""
        if self._accepting:
            while True:  # whoever already stands in the kernel's queue is still served
                before = len(self._connections)
                self._insist = True
                self._accept()
                if len(self._connections) <= before:
                    break
            self._accept_again(False)
        self._accept_at = 0.0
        fresh = time.monotonic() - self._stopping < YIELD_SECONDS * 100
        for connection in list(self._connections.values()):
            if connection.lingering or (connection.idle and not (fresh and connection.since > self._stopping - 0.1)):
                self._close(connection)
        return not self._connections


def _busy(wait: float) -> Answer:
    return refusal(RequestError(503, "request", "this service is busy; try again"), retry_seconds=max(1, round(wait)))


def _log(head: Head, name: str, trace: tuple[str, str] | None, answer: Answer, seconds: float) -> None:
    data = {
        "request_id": name,
        "method": head.method,
        "path": head.path[:200],
        "status": answer.status,
        "milliseconds": round(seconds * 1000, 3),
    }
    if trace is not None:
        data["trace_id"] = trace[0]
    log.info("request", extra={"data": data})
