"""What clients may take of a worker together: answers that nobody reads, readers that are slow, connections."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serving_app.http.connection import SEND_RATE
from serving_app.http.room import SURPLUS
from tests.serving_app.running import wait_until
from tests.serving_app.turning import ASK, Turning, answer, ask, kept

LARGE = ASK.replace(b"/page", b"/large")
SIZE = 5_000_000
"""More than the kernel takes by itself, by a megabyte at least."""


@pytest.fixture
def turn() -> Iterator[Callable[..., Turning]]:
    started: list[Turning] = []

    def start(**settings: Any) -> Turning:
        started.append(Turning(max_connection_age_seconds=0, **settings))
        return started[-1]

    yield start
    for each in started:
        each.end()


def refused(turning: Turning, reason: str) -> float:
    found = re.search(rf'^serving_refused_total{{reason="{reason}"}} (\S+)$', turning.metrics.text().decode(), re.M)
    return float(found[1]) if found else 0.0


def whole(sock: socket.socket) -> bool:
    """Read an answer; whether all of it comes."""
    try:
        answer(sock)
    except (AssertionError, ConnectionError):
        return False
    return True


def readers(turning: Turning, stack: contextlib.ExitStack, count: int) -> list[socket.socket]:
    """Clients that ask for much and read none of it, one after the other."""
    clients = []
    for _ in range(count):
        sock = stack.enter_context(turning.client(small=True))
        turning.now += 0.01
        sock.sendall(LARGE)
        assert sock.recv(1, socket.MSG_PEEK)
        clients.append(sock)
    return clients


def test_answers_that_nobody_reads_are_bounded(turn: Callable[..., Turning]) -> None:
    turning = turn(max_unsent_bytes=SIZE)
    with contextlib.ExitStack() as stack:
        clients = readers(turning, stack, 12)
        wait_until(lambda: refused(turning, "unsent") >= 6)
        with turning.client() as other:
            assert kept(ask(other)), "others are answered meanwhile"
        assert not whole(clients[0])
        assert whole(clients[-1])


def test_without_the_bound_they_are_all_kept(turn: Callable[..., Turning]) -> None:
    """The control."""
    turning = turn(max_unsent_bytes=100 * SIZE)
    with contextlib.ExitStack() as stack:
        assert all(whole(sock) for sock in readers(turning, stack, 12))
    assert refused(turning, "unsent") == 0


def test_a_slow_reader_is_cut_though_it_reads(turn: Callable[..., Turning]) -> None:
    turning = turn(send_seconds=30)
    with contextlib.ExitStack() as stack:
        (sock,) = readers(turning, stack, 1)
        turning.now += 29
        assert sock.recv(10_000)
        turning.now += 1 + SIZE / SEND_RATE + 1
        assert sock.recv(10_000)
        wait_until(lambda: turning.connections == 0)


def test_a_reader_that_is_fast_enough_is_not(turn: Callable[..., Turning]) -> None:
    """The control."""
    turning = turn(send_seconds=30)
    with contextlib.ExitStack() as stack:
        (sock,) = readers(turning, stack, 1)
        turning.now += 30 + 0.1 * SIZE / SEND_RATE
        turning.wait_for_ticks(2)
        assert whole(sock)
        assert kept(ask(sock))


def test_slow_heads_make_room_for_who_says_what_it_wants(turn: Callable[..., Turning]) -> None:
    turning = turn(max_connections=20)
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            sock = stack.enter_context(socket.create_connection(turning.address, 30))
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-")
        with turning.client():
            pass
        assert turning.connections <= 21


def test_a_probe_gets_through_where_every_place_is_taken(turn: Callable[..., Turning]) -> None:
    turning = turn(max_connections=20)
    body = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            sock = stack.enter_context(socket.create_connection(turning.address, 30))
            sock.sendall(body)
            assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        for _ in range(SURPLUS + 5):
            stack.enter_context(socket.create_connection(turning.address, 30))
        with socket.create_connection(turning.address, 30) as probe:
            head = ask(probe, ASK.replace(b"/page", b"/livez"))
            assert head.startswith(b"HTTP/1.1 200 ")
            assert not kept(head)
        with socket.create_connection(turning.address, 30) as other:
            assert ask(other).startswith(b"HTTP/1.1 503 ")
        with socket.create_connection(turning.address, 30) as silent:
            turning.wait_for_ticks(1)
            turning.now += 1
            assert answer(silent).startswith(b"HTTP/1.1 503 ")
