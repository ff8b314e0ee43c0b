"""A loop that turns in a thread, on a clock that the test turns, in front of a model that answers at once."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

from serving_app.http.answer import Answer
from serving_app.http.loop import Loop
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Metrics
from serving_app.settings import Settings
from tests.serving_app.running import wait_until

ASK = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"
PREDICT = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
SLOW = ASK.replace(b"/page", b"/slow")
OLD = ASK.replace(b"HTTP/1.1", b"HTTP/1.0")
OLD_KEPT = OLD.replace(b"Host: x", b"Connection: keep-alive")


class Front:
    """Answers everything; /slow when it is told to."""

    batches = True

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def quick(self, head: Any) -> Any:
        return (lambda body: body) if head.path == "/score" else None

    def predicts(self, head: Any) -> bool:
        return bool(head.path == "/score")

    def read_quickly(self, read: Any, body: bytes, request_id: str) -> bytes:
        return body

    def compute(self, calls: list[Any]) -> list[Answer]:
        return [Answer(200, b"", b"score") for _ in calls]

    def flask(self, head: Any, body: bytes, request_id: str, address: str) -> Answer:
        if head.path == "/slow":
            self.asked.set()
            assert self.go_on.wait(30)
        return Answer(200, b"", b"x" * 5_000_000 if head.path == "/large" else b"page")


class Turning:
    """A loop that turns in a thread, and its clock."""

    def __init__(self, **settings: Any) -> None:
        self.now = 1000.0
        self.front = Front()
        self.lifecycle = Lifecycle()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.metrics = Metrics(1)
        row = self.metrics.rows[0]
        row.began(os.getpid(), self.now)
        config = Settings(**{"send_seconds": 1000.0, **settings})
        self._loop = Loop(
            self._listener,
            self.front,  # type: ignore[arg-type]
            config,
            self.lifecycle,
            row,
            [],
            quick=True,
            clock=lambda: self.now,
        )
        self._thread = threading.Thread(target=self._loop.run, daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._listener.getsockname()
        return host, port

    @property
    def connections(self) -> int:
        """How many are open."""
        return self.metrics.rows[0].connections

    def wait_for_ticks(self, count: int) -> None:
        """Wait until it has looked so many times at what takes too long."""
        for _ in range(count):
            self.now += 0.001
            now = self.now
            wait_until(lambda: self.metrics.rows[0].beaten >= now)  # noqa: B023 (it is called here)

    @contextlib.contextmanager
    def client(self, *, small: bool = False) -> Iterator[socket.socket]:
        """A connection that has had its first answer, so that its age counts from now at the latest.

        Args:
            small: the kernel keeps little for it that it has not read.
        """
        with socket.socket() as sock:
            if small:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(30)
            sock.connect(self.address)
            assert kept(ask(sock))
            yield sock

    def end(self) -> None:
        self.front.go_on.set()
        self.now += 1000
        self._loop.stop()
        self._thread.join(30)
        self._listener.close()
        assert not self._thread.is_alive()


def ask(sock: socket.socket, request: bytes = ASK) -> bytes:
    """Send a request; the head of its answer, when all of that has come."""
    sock.sendall(request)
    return answer(sock)


def answer(sock: socket.socket) -> bytes:
    """Read one answer; its head."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(1)
        assert part, "closed without an answer"
        data += part
    left = int(data.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while left:
        part = sock.recv(min(left, 65536))
        assert part, "closed in the middle of an answer"
        left -= len(part)
    return data


def kept(head: bytes) -> bool:
    """Whether the answer leaves the connection open."""
    return b"\r\nConnection: close\r\n" not in head


def closed(sock: socket.socket) -> bool:
    """Whether the service has closed it; waits for that."""
    return sock.recv(1) == b""
