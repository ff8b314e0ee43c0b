"""A body that comes in chunks (RFC 9112, 7.1), taken from the bytes as they arrive."""

from __future__ import annotations

import re

from serving_app.http.head import HeadError

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
MAX_LINE = 256
MAX_TRAILERS = 4096


class Chunks:
    """Collects one chunked body."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()
        self._left = 0
        """Bytes of the current chunk still to come."""
        self._state = "size"
        self._trailers = 0

    @property
    def size(self) -> int:
        """Bytes collected so far."""
        return len(self._body)

    def feed(self, data: bytearray) -> bytes | None:
        """Take what belongs to the body away from `data`; return the body once it is whole.

        Raises:
            HeadError: it is not chunked as the RFC says, or larger than the limit.
        """
        while True:
            if self._state == "data":
                taken = min(self._left, len(data))
                self._body += memoryview(data)[:taken]
                del data[:taken]
                self._left -= taken
                if self._left:
                    return None
                self._state = "end"
            line = self._line(data)
            if line is None:
                return None
            if self._state == "end":
                if line:
                    raise HeadError(400, "body", "a chunk is longer than it says")
                self._state = "size"
            elif self._state == "size":
                self._begin(line)
            elif line:
                self._trailers += len(line)
                if self._trailers > MAX_TRAILERS:
                    raise HeadError(431, "trailers", "too long")
            else:
                return bytes(self._body)

    def _begin(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise HeadError(400, "body", "a chunk does not begin with its size")
        self._left = int(match[1], 16)
        if len(self._body) + self._left > self._limit:
            raise HeadError(413, "body", "the body is larger than this service takes")
        self._state = "data" if self._left else "trailers"

    def _line(self, data: bytearray) -> bytes | None:
        end = data.find(b"\r\n", 0, MAX_LINE + 2)
        if end < 0:
            if len(data) > MAX_LINE:
                raise HeadError(400, "body", "a chunk's first line is too long")
            return None
        line = bytes(data[:end])
        del data[: end + 2]
        return line
