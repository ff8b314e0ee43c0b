"""Kept connections end, so that their users follow a release: on a loop whose clock the test turns."""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import Iterator

import pytest

from serving_app.http.lifetime import BEHIND_SECONDS, JITTER, last_moment
from tests.serving_app.turning import ASK, OLD, OLD_KEPT, PREDICT, SLOW, Turning, answer, ask, closed, kept

AGE = 45.0


@pytest.fixture
def turning() -> Iterator[Turning]:
    loop = Turning(max_connection_age_seconds=AGE)
    yield loop
    loop.end()


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection is kept as long as any is."""
    monkeypatch.setattr("random.random", lambda: 0.0)


@pytest.fixture
def never() -> Iterator[Turning]:
    """A loop that does not look at the age."""
    loop = Turning(max_connection_age_seconds=0)
    yield loop
    loop.end()


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
