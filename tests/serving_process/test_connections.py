"""Clients that are slow, silent, many or rude: they are cut, and others are answered meanwhile. With controls."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving_app.models import picture, score_body
from tests.serving_app.running import Service, wait_until

Serve = Callable[..., Service]
BODY = json.dumps(score_body(picture(255))).encode()
HEAD = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)


@contextlib.contextmanager
def connected(service: Service, count: int = 1) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=30)) for _ in range(count)
        ]


def everything(connection: socket.socket) -> bytes:
    """Read until the service closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def drip(connection: socket.socket, data: bytes, seconds: float) -> bool:
    """Send a byte now and then; whether the service let it go on for so long."""
    end = time.monotonic() + seconds
    connection.settimeout(0.1)
    for i in range(len(data)):
        if time.monotonic() > end:
            return True
        try:
            connection.sendall(data[i : i + 1])
            if not connection.recv(1, socket.MSG_PEEK):
                return False
            return False  # it answered before it had the request
        except TimeoutError:
            continue
        except OSError:
            return False
    return True


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nX: " + b"a" * 1000, HEAD + BODY], ids=["head", "body"])
def test_a_slow_sender_is_cut(serve: Serve, picture_dir: Path, data: bytes) -> None:
    service = serve(picture_dir, SERVING_HEAD_MS="700", SERVING_BODY_MS="700").wait_ready()
    with connected(service) as (connection,):
        start = data.find(b"\r\n\r\n") + 4 if data.startswith(b"POST") else 0
        connection.sendall(data[:start])
        assert not drip(connection, data[start:], 10)
        connection.settimeout(10)
        assert everything(connection).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nX: " + b"a" * 1000, HEAD + BODY], ids=["head", "body"])
def test_without_the_limit_it_holds_its_connection(serve: Serve, picture_dir: Path, data: bytes) -> None:
    """The control."""
    service = serve(picture_dir, SERVING_HEAD_MS="60000", SERVING_BODY_MS="60000").wait_ready()
    with connected(service) as (connection,):
        start = data.find(b"\r\n\r\n") + 4 if data.startswith(b"POST") else 0
        connection.sendall(data[:start])
        assert drip(connection, data[start:], 3)


def test_many_slow_senders_slow_nobody_down(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir).wait_ready()
    with connected(service, 300) as slow:
        for connection in slow:
            connection.sendall(HEAD + BODY[:10])
        start = time.monotonic()
        for _ in range(20):
            assert service.post("/score", score_body(picture(0)))[0] == 200
        assert time.monotonic() - start < 5
        for connection in slow:
            connection.sendall(BODY[10:])
        for connection in slow:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def answers_until(service: Service, ends: int, seconds: float) -> tuple[int, int]:
    """Ask over kept connections, one after the other; answers, and how many of them ended their connection."""
    connection = service.connect()
    answers = ended = 0
    end = time.monotonic() + seconds
    while ended < ends and time.monotonic() < end:
        connection.request("GET", "/livez")  # which opens a new connection after `Connection: close`, and only then
        response = connection.getresponse()
        assert response.read() == b"ok\n"
        answers += 1
        ended += response.headers["Connection"] == "close"
    connection.close()
    return answers, ended


def test_connections_end_again_and_again_and_nobody_is_refused(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="2", SERVING_MAX_CONNECTION_AGE_MS="200").wait_ready()
    answers, ended = answers_until(service, ends=5, seconds=30)
    assert ended == 5
    assert answers > 20


def test_without_the_age_a_connection_stays(serve: Serve, picture_dir: Path) -> None:
    """The control."""
    service = serve(picture_dir, SERVING_WORKERS="2", SERVING_MAX_CONNECTION_AGE_MS="0").wait_ready()
    assert answers_until(service, ends=1, seconds=3)[1] == 0


def test_idle_connections_make_room(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="1", SERVING_MAX_CONNECTIONS="20").wait_ready()
    with connected(service, 40):
        assert service.post("/score", score_body(picture(0)))[0] == 200


def test_busy_connections_do_not(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="1", SERVING_MAX_CONNECTIONS="20").wait_ready()
    with connected(service, 20) as slow:
        for connection in slow:
            connection.sendall(HEAD[:-2] + b"Expect: 100-continue\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        with connected(service) as (one_more,):
            said = everything(one_more)
            assert said.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: 1\r\n" in said
        slow[0].sendall(BODY)
        assert slow[0].recv(65536).startswith(b"HTTP/1.1 200 ")


def test_bodies_on_their_way_are_bounded_in_memory(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="1", SERVING_MAX_HELD_BYTES="100000").wait_ready()
    big = HEAD.replace(b"%d" % len(BODY), b"60001")
    with connected(service, 2) as (first, second):
        first.sendall(big + b" " * 60000)
        wait_until(lambda: answer(service, b"") is not None)
        second.sendall(big + b" " * 60000)
        assert everything(second).startswith(b"HTTP/1.1 503 ")
        first.close()
        wait_until(lambda: (answer(service, big + b" " * 60001) or b"")[9:12] == b"400")


def test_bodies_that_are_only_announced_take_no_room(serve: Serve, picture_dir: Path) -> None:
    service = serve(picture_dir, SERVING_WORKERS="1", SERVING_MAX_HELD_BYTES="100000").wait_ready()
    with connected(service, 40) as announced:
        for connection in announced:
            connection.sendall(HEAD.replace(b"%d" % len(BODY), b"99990") + b" ")
        wait_until(lambda: answer(service, b"") is not None)
        assert service.post("/score", score_body(picture(255)))[0] == 200


def answer(service: Service, data: bytes) -> bytes | None:
    """Return the first bytes that answer these (or a probe, if there are none)."""
    with connected(service) as (connection,):
        connection.sendall(data or b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        return connection.recv(65536) or None


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSED = [
    ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("no version", b"GET /\r\n\r\n", 400),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("no host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("space before the colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("folded line", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    ("bare line feed", b"GET / HTTP/1.1\nHost: a\n\r\n\r\n", 400),
    ("a null", b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
    ("header flood", b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    ("huge header", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20000 + b"\r\n\r\n", 431),
    ("long path", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ("two lengths", b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ("length no number", b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400),
    (
        "length and chunks",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    ("another coding", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400),
    ("bad chunk", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    ("chunk too long", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n", 400),
    (
        "chunks over the limit",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7530\r\n" + b"a" * 30000,
        413,
    ),
    ("body over the limit", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n", 413),
    ("a host that is none", b"GET / HTTP/1.1\r\nHost: a b/<>\r\n\r\n", 400),
    ("request in trailers", CHUNKED + b"0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("null in trailers", CHUNKED + b"0\r\nX: \0\r\n\r\n", 400),
    ("bare carriage return in trailers", CHUNKED + b"0\r\nX: a\rb\r\n\r\n", 400),
    ("trailer without a colon", CHUNKED + b"0\r\nX\r\n\r\n", 400),
    ("trailer flood", CHUNKED + b"0\r\n" + b"X: y\r\n" * 1000 + b"\r\n", 431),
    ("endless chunk line", CHUNKED + b"3;" + b"a" * 20000, 431),
    ("fragment", b"GET /livez#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a proxy's request", b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("unknown expectation", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\n\r\n", 417),
]


@pytest.fixture
def service(serve: Serve, picture_dir: Path) -> Service:
    return serve(picture_dir, SERVING_MAX_BODY_BYTES="20000").wait_ready()


def test_what_is_not_unmistakably_http_is_refused(service: Service) -> None:
    for name, data, status in REFUSED:
        with connected(service) as (connection,):
            connection.sendall(data)
            said = everything(connection)
            assert said.startswith(b"HTTP/1.1 %d " % status), (name, said[:200])
            assert b"application/problem+json" in said, name
            assert b'"field":' in said, name
    assert service.get("/readyz")[0] == 200


def test_requests_may_follow_each_other_at_once(service: Service) -> None:
    with connected(service) as (connection,):
        connection.sendall((HEAD + BODY) * 3 + b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = everything(connection)
    assert said.count(b"HTTP/1.1 200 OK\r\n") == 4
    assert said.count(b'"light"') == 3
    assert said.endswith(b"ok\n")


def test_a_body_may_come_in_chunks_and_in_pieces(service: Service) -> None:
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    data = (
        head
        + b"%x;a=b\r\n%b\r\n" % (20, BODY[:20])
        + b"%x\r\n%b\r\n0\r\nTrailer: x\r\n\r\n" % (len(BODY) - 20, BODY[20:])
    )
    with connected(service) as (connection,):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(data)):
            connection.sendall(data[i : i + 1])
        assert b'"light"' in connection.recv(65536)


def test_a_client_that_waits_is_told_to_go_on(service: Service) -> None:
    with connected(service) as (connection,):
        connection.sendall(HEAD[:-2] + b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_half_closed_socket_still_gets_its_answer(service: Service) -> None:
    with connected(service) as (connection,):
        connection.sendall(HEAD + BODY)
        connection.shutdown(socket.SHUT_WR)
        assert b'"light"' in everything(connection)


def test_head_has_the_length_and_no_body(service: Service) -> None:
    with connected(service) as (connection,):
        connection.sendall(b"HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = everything(connection)
    assert b"Content-Length: 3\r\n" in said
    assert said.endswith(b"\r\n\r\n")


def test_a_refusal_of_head_has_no_body(service: Service) -> None:
    with connected(service) as (connection,):
        connection.sendall(b"HEAD /score HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        said = everything(connection)
    assert said.startswith(b"HTTP/1.1 413 ")
    assert said.endswith(b"\r\n\r\n")


def test_what_has_not_changed_has_no_length(service: Service) -> None:
    with connected(service) as (connection,):
        connection.sendall(b"GET /try.js HTTP/1.1\r\nHost: x\r\n\r\n")
        tag = connection.recv(65536).partition(b"ETag: ")[2].partition(b"\r\n")[0]
    with connected(service) as (connection,):
        connection.sendall(b"GET /try.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-None-Match: %b\r\n\r\n" % tag)
        said = everything(connection)
    assert said.startswith(b"HTTP/1.1 304 ")
    assert b"content-length" not in said.lower()


def test_of_two_ids_none_is_taken(service: Service) -> None:
    with connected(service) as (connection,):
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-Id: one\r\nX-Request-Id: two\r\n\r\n")
        said = connection.recv(65536)
    assert b"one" not in said
    assert said.count(b"X-Request-Id: ") == 1


def test_who_asks_for_another_protocol_is_answered_in_this_one(service: Service) -> None:
    asks = HEAD[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" + BODY
    with connected(service) as (connection,):
        connection.sendall(asks * 2 + b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = everything(connection)
    assert said.count(b'"light"') == 2
    assert said.endswith(b"ok\n")


def test_the_trace_goes_on(service: Service) -> None:
    trace = b"4bf92f3577b34da6a3ce929d0e0e4736"
    with connected(service) as (connection,):
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\ntraceparent: 00-%b-00f067aa0ba902b7-01\r\n\r\n" % trace)
        said = connection.recv(65536)
    assert b"traceparent: 00-" + trace in said
    assert b"00f067aa0ba902b7" not in said
