"""Requests out of bytes: llhttp reads them, through httptools; what it does not bound is bounded here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import httptools

from serving_app.http.head import MAX_FIELDS, MAX_HEAD, MAX_TARGET, ONCE, Head, HeadError, complete

SLICE = 4096
"""Bytes that the parser gets at once, unless they are known to be one request's: it does not stop where a request ends,
so this bounds how many it reads that must wait for the one before."""
MAX_TRAILERS = 4096
"""Bytes of the fields behind a body, and of a chunk's first line."""


class Reader:
    """Reads one connection's requests.

    Args:
        max_body: bytes of a body; more is 413.
        hold: is told of bytes of a body that have come; False if there is no room for them.
    """

    def __init__(self, max_body: int, hold: Callable[[int], bool]) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._max_body = max_body
        self._hold = hold
        self.requests: deque[tuple[Head, bytes]] = deque()
        """Those that are whole."""
        self.begun = False
        """A request is not whole yet…"""
        self.head: Head | None = None
        """…and this is its head, if that is."""
        self.target = b""
        self.arrived = 0
        """Bytes of its body."""
        self.finished = False
        """The client said that it sends no further request."""
        self._bare = False
        """Its body does not pass through the parser, which takes what follows a request to upgrade for another
        protocol. Nobody here speaks one, so the request is answered as it stands."""
        self._fields: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._count = self._size = self._trailers = 0
        self._still = 0
        """Bytes since the parser last got to the end of anything."""
        self._moved = False

    @property
    def method(self) -> str:
        """Of the request that is not whole, as far as it is known."""
        return self._parser.get_method().decode() if self.target else ""

    def feed(self, data: bytes | bytearray) -> int:
        """Read on until a request is whole; return how many bytes were taken. More requests may be whole by then.

        Raises:
            HeadError: a request is refused; those before it are in `requests`.
        """
        if len(data) <= SLICE and not self._bare:
            return self._give(data)
        at, view = 0, memoryview(data)
        while at < len(data) and not self.requests and not self.finished:
            if self.head is not None and not self.head.chunked:
                part = view[at : at + self.head.length - self.arrived]
            else:
                part = view[at : at + SLICE]
            at += self._take(bytes(part)) if self._bare else self._give(part)
        return at

    def _give(self, data: bytes | bytearray | memoryview) -> int:
        self._moved = False
        taken = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            taken = upgrade.args[0]
        except httptools.HttpParserError as error:
            if not self.finished:
                raise self._refused(error) from error
        self._still = 0 if self._moved else self._still + taken
        if self._still > (MAX_TRAILERS if self.head else MAX_HEAD):
            raise HeadError(431, "body" if self.head else "headers", "a line is too long")
        return taken

    def _take(self, data: bytes) -> int:
        self.on_body(data)
        if self.head and self.arrived == self.head.length:
            self._bare = False
            self.on_message_complete()
        return len(data)

    def _refused(self, error: Exception) -> Exception:
        if isinstance(error, httptools.HttpParserCallbackError):
            return error.__context__ if isinstance(error.__context__, Exception) else error
        where = "body" if self.head else "headers" if self._fields else "request line"
        return HeadError(400, where, f"cannot be read: {error}")

    # ---- called by the parser ----

    def on_message_begin(self) -> None:
        """A request begins."""
        self.begun = True
        self._count = self._size = self._trailers = self.arrived = 0
        self._fields, self._body = {}, []
        self.target = b""

    def on_url(self, part: bytes) -> None:
        """Take a part of the request's target."""
        self.target += part
        if len(self.target) > MAX_TARGET:
            raise HeadError(414, "path", f"longer than {MAX_TARGET} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field, or a trailer, of which nothing but its size matters."""
        size = len(name) + len(value) + 4
        if self.head is not None:
            self._trailers += size
            if self._trailers > MAX_TRAILERS:
                raise HeadError(431, "trailers", "too long")
            return
        self._count += 1
        self._size += size
        if self._count > MAX_FIELDS:
            raise HeadError(431, "headers", f"more than {MAX_FIELDS} fields")
        if self._size + len(self.target) > MAX_HEAD:
            raise HeadError(431, "headers", f"longer than {MAX_HEAD} bytes")
        key = name.lower()
        if key not in self._fields:
            self._fields[key] = value.strip(b" \t")
        elif key in ONCE:
            raise HeadError(400, name.decode("latin-1"), "given twice")
        else:
            self._fields[key] += b"," + value.strip(b" \t")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._moved = True
        parser = self._parser
        self.head = head = complete(
            parser.get_method().decode(),
            self.target,
            parser.get_http_version(),
            self._fields,
            keep=parser.should_keep_alive(),
        )
        if head.length > self._max_body:
            raise HeadError(413, "body", "the body is larger than this service takes")
        if parser.should_upgrade():
            if head.chunked:
                raise HeadError(400, "Upgrade", "not with a body in chunks")
            self._bare = head.length > 0

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._moved = True

    def on_chunk_complete(self) -> None:
        """A chunk is whole."""
        self._moved = True

    def on_body(self, part: bytes) -> None:
        """Take a part of the body."""
        self._moved = True
        self.arrived += len(part)
        if self.arrived > self._max_body:
            raise HeadError(413, "body", "the body is larger than this service takes")
        if not self._hold(len(part)):
            raise HeadError(503, "body", "too many bodies are on their way; try again", "memory")
        self._body.append(part)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._moved = True
        if self._bare or self.head is None:
            return
        self.requests.append((self.head, self._body[0] if len(self._body) == 1 else b"".join(self._body)))
        self.finished = not self.head.keep
        self.begun = False
        self.head = None
        self.target = b""
        self._body = []
