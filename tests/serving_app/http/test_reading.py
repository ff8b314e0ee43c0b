"""What is read out of bytes, whole and in pieces: where a request ends, and what is refused."""

from __future__ import annotations

import pytest

from serving_app.http.head import HeadError
from serving_app.http.reading import MAX_TRAILERS, SLICE, Reader

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"POST /u HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello"
MAX_BODY = 100_000


def read(data: bytes, piece: int, reader: Reader | None = None) -> list[tuple[str, str, bytes]]:
    """Feed it in pieces; method, path and body of what came out."""
    reader = reader or Reader(MAX_BODY, lambda size: True)
    found = []
    for at in range(0, len(data), piece):
        part = data[at : at + piece]
        while part:
            part = part[reader.feed(part) :]
            while reader.requests:
                head, body = reader.requests.popleft()
                found.append((head.method, head.path, body))
    return found


@pytest.mark.parametrize("piece", [1, 2, 7, 10_000])
def test_a_request_ends_where_it_says(piece: int) -> None:
    trailers = CHUNKED + b"3;x=y\r\nabc\r\n0\r\nHost: evil\r\nX: 1\r\n\r\n"
    length = b"POST /l HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n" + GET
    expected = [("GET", "/a", b""), ("POST", "/c", b"abc"), ("POST", "/l", GET + b""), ("POST", "/u", b"hello")]
    length = length.replace(b"30", b"%d" % len(GET))
    assert read(GET + trailers + length + UPGRADE + GET, piece) == [*expected, ("GET", "/a", b"")]


def test_trailers_are_not_the_next_requests_fields() -> None:
    reader = Reader(MAX_BODY, lambda size: True)
    reader.feed(CHUNKED + b"0\r\nX-Request-Id: evil\r\n\r\n" + GET)
    assert [set(head.fields) for head, _ in reader.requests] == [{b"host", b"transfer-encoding"}, {b"host"}]


def test_a_large_body_passes_whole() -> None:
    body = bytes(range(256)) * 300
    data = b"POST /l HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    assert read(data + GET, 70_000) == [("POST", "/l", body), ("GET", "/a", b"")]
    chunks = CHUNKED + b"".join(b"400\r\n%b\r\n" % body[i : i + 1024] for i in range(0, len(body), 1024)) + b"0\r\n\r\n"
    assert read(chunks + GET, 70_000) == [("POST", "/c", body), ("GET", "/a", b"")]


def test_few_requests_are_read_ahead() -> None:
    reader = Reader(MAX_BODY, lambda size: True)
    assert reader.feed(GET * 10_000) == SLICE
    assert len(reader.requests) == SLICE // len(GET)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 16_400 + b"\r\n\r\n", 431),
        (b"\r\n" * 20_000, 431),
        (b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\n", 414),
        (CHUNKED + b"1;" + b"a" * (MAX_TRAILERS + SLICE), 431),
        (CHUNKED + b"0\r\n" + b"X: y\r\n" * 700, 431),
        (CHUNKED + b"0\r\nX: " + b"y" * (MAX_TRAILERS + SLICE), 431),
        (CHUNKED + b"0\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (CHUNKED + b"0\r\nX: \0\r\n\r\n", 400),
        (CHUNKED + b"0\r\nContent-Length: 3\r\n\r\n", 400),
        (UPGRADE.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
        (CHUNKED + b"f000\r\n" + b"a" * 0xF000 + b"\r\nf000\r\n" + b"a" * 0xF000, 413),
    ],
)
def test_what_is_refused(data: bytes, status: int) -> None:
    for piece in (997, len(data)):
        with pytest.raises(HeadError) as refused:
            read(data, piece)
        assert refused.value.status == status


@pytest.mark.parametrize(
    "host", [b"", b"a", b"a.b:80", b"[::1]:8080", b"127.0.0.1", b"my_host", b"xn--bcher-kva.example"]
)
def test_hosts_that_are_taken(host: bytes) -> None:
    assert read(GET.replace(b"x", host), 1000) == [("GET", "/a", b"")]


def test_the_path_is_decoded_once() -> None:
    assert read(GET.replace(b"/a", b"/%2573core%3fx?%41=%42"), 1000) == [("GET", "/%73core?x", b"")]


def test_nothing_is_read_behind_a_last_request() -> None:
    reader = Reader(MAX_BODY, lambda size: True)
    reader.feed(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET)
    assert len(reader.requests) == 1
    assert reader.finished


def test_a_body_for_which_there_is_no_room_is_refused_and_counted_as_it_comes() -> None:
    room = [10]

    def hold(size: int) -> bool:
        room[0] -= size
        return room[0] >= 0

    reader = Reader(MAX_BODY, hold)
    reader.feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n0123456789")
    with pytest.raises(HeadError) as refused:
        reader.feed(b"x")
    assert (refused.value.status, refused.value.reason) == (503, "memory")
