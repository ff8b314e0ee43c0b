"""Kept connections end, so that their users follow a release: on a loop whose clock the test turns."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from serving_app.http.answer import Answer
from serving_app.http.lifetime import BEHIND_SECONDS, JITTER, last_moment
from serving_app.http.loop import Loop
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Metrics
from serving_app.settings import Settings

AGE = 45.0
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

    def __init__(self, age: float) -> None:
        self.now = 1000.0
        self.front = Front()
        self.lifecycle = Lifecycle()
        self._listener = socket.create_server(("127.0.0.1", 0))
        row = Metrics(1).rows[0]
        row.began(os.getpid(), self.now)
        config = Settings(max_connection_age_seconds=age, send_seconds=1000)
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

    @contextlib.contextmanager
    def client(self) -> Iterator[socket.socket]:
        """A connection that has had its first answer, so that its age counts from now at the latest."""
        with socket.create_connection(self._listener.getsockname(), timeout=30) as sock:
            assert kept(ask(sock))
            yield sock

    def end(self) -> None:
        self.front.go_on.set()
        self.now += 1000
        self._loop.stop()
        self._thread.join(30)
        self._listener.close()
        assert not self._thread.is_alive()


@pytest.fixture
def turning() -> Iterator[Turning]:
    loop = Turning(AGE)
    yield loop
    loop.end()


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection is kept as long as any is."""
    monkeypatch.setattr("random.random", lambda: 0.0)


@pytest.fixture
def never() -> Iterator[Turning]:
    """A loop that does not look at the age."""
    loop = Turning(0)
    yield loop
    loop.end()


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


@pytest.mark.parametrize("request_", [ASK, PREDICT], ids=["page", "prediction"])
def test_a_young_connection_is_kept_and_an_old_one_gets_its_last_answer(turning: Turning, request_: bytes) -> None:
    with turning.client() as sock:
        turning.now += AGE * (1 - JITTER) - 0.1
        assert kept(ask(sock, request_))
        turning.now += AGE * JITTER + 0.1
        head = ask(sock, request_)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert not kept(head)
        assert closed(sock)
    with turning.client() as sock:  # the one that the client opens then is young
        assert kept(ask(sock, request_))


def test_without_the_limit_it_stays(never: Turning) -> None:
    """The control, and what is set behind a gateway."""
    with never.client() as sock:
        for _ in range(20):
            never.now += 60
            assert kept(ask(sock))


def test_an_idle_connection_is_not_closed_and_gets_one_more_answer(turning: Turning) -> None:
    with turning.client() as sock, turning.client() as other:
        turning.now += 70
        assert not kept(ask(other))  # after which the loop looks at what has taken too long…
        with turning.client():  # …and has done so before it turns again
            pass
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        sock.settimeout(30)
        assert not kept(ask(sock))
        assert closed(sock)


def test_a_request_that_is_computed_when_the_time_comes_is_answered(turning: Turning) -> None:
    with turning.client() as sock:
        sock.sendall(SLOW)
        assert turning.front.asked.wait(30)
        turning.now += AGE
        turning.front.go_on.set()
        assert not kept(answer(sock))
        assert closed(sock)


def test_an_answer_that_is_being_taken_when_the_time_comes_is_taken_whole(turning: Turning) -> None:
    with turning.client() as sock, turning.client() as other:
        sock.sendall(ASK.replace(b"/page", b"/large"))
        assert sock.recv(1, socket.MSG_PEEK)  # it is on its way, and more than the kernel takes at once
        turning.now += AGE
        assert not kept(ask(other))
        assert kept(answer(sock))
        assert not kept(ask(sock))
        assert closed(sock)


@pytest.mark.usefixtures("no_jitter")
@pytest.mark.parametrize("request_", [ASK, PREDICT, SLOW], ids=["page", "prediction", "slow page"])
def test_requests_that_came_behind_are_answered_too(turning: Turning, request_: bytes) -> None:
    turning.front.go_on.set()
    with turning.client() as sock:
        turning.now += AGE
        sock.sendall(request_ + PREDICT * 3 + ASK)
        assert [kept(answer(sock)) for _ in range(5)] == [True, True, True, True, False]
        assert closed(sock)


@pytest.mark.usefixtures("no_jitter")
def test_a_client_that_never_waits_for_answers_does_not_stay_for_ever(turning: Turning) -> None:
    with turning.client() as sock:
        turning.now += AGE + BEHIND_SECONDS
        sock.sendall(ASK * 3)
        assert not kept(answer(sock))
        assert closed(sock)


@pytest.mark.usefixtures("no_jitter")
def test_a_request_of_which_a_part_has_come_is_answered(turning: Turning) -> None:
    with turning.client() as sock:
        turning.now += AGE
        sock.sendall(ASK + ASK[:10])
        assert kept(answer(sock))
        assert not kept(ask(sock, ASK[10:]))
        assert closed(sock)


def test_http_1_0_is_told_in_its_own_words(turning: Turning) -> None:
    with turning.client() as sock:
        assert b"\r\nConnection: keep-alive\r\n" in ask(sock, OLD_KEPT)
        turning.now += AGE
        assert not kept(ask(sock, OLD_KEPT))
        assert closed(sock)
    with turning.client() as sock:
        assert not kept(ask(sock, OLD))


def test_a_service_that_drains_says_so_to_young_connections(turning: Turning) -> None:
    with turning.client() as sock:
        turning.lifecycle.drain()
        assert not kept(ask(sock))
        assert closed(sock)


def test_connections_that_were_opened_together_do_not_end_together(turning: Turning) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(turning.client()) for _ in range(40)]
        turning.now += AGE * (1 - JITTER / 2)
        stay = [kept(ask(sock)) for sock in clients]
        assert 0 < sum(stay) < 40
        turning.now += AGE * JITTER / 2
        assert not any(kept(ask(sock)) for sock, there in zip(clients, stay, strict=True) if there)


def test_the_age_is_a_limit_and_the_jitter_goes_downwards() -> None:
    assert last_moment(100, 40, 0) == 140
    assert last_moment(100, 40, 1) == 100 + 40 * (1 - JITTER)
    assert last_moment(100, 0, 0.5) == math.inf
