"""One client's connection: what it has sent so far, and what it has still to be sent."""

from __future__ import annotations

import socket

from serving_app.http.body import Chunks
from serving_app.http.head import END, MAX_HEAD, Head, HeadError, looks_wrong, parse


class Connection:
    """State of one connection; the loop alone touches it."""

    __slots__ = (
        *("sock", "fd", "address", "buffer", "head", "chunks", "out", "since", "busy", "gone"),
        *("ended", "lingering", "reserved", "closing", "until"),
    )

    def __init__(self, sock: socket.socket, address: str, now: float, until: float) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.address = address
        self.buffer = bytearray()
        self.head: Head | None = None
        self.chunks: Chunks | None = None
        self.out: memoryview | None = None
        """What the kernel would not take yet."""
        self.since = now
        """When what it is at began: waiting for a request, sending one, taking an answer."""
        self.until = until
        """From when on an answer is its last one."""
        self.busy = False
        """A thread computes its answer."""
        self.gone = False
        """It broke off while a thread computed."""
        self.ended = False
        """It will send nothing more, but may still read."""
        self.lingering = False
        """It got its last answer; what it still sends is thrown away."""
        self.closing = False
        """The answer that is being sent is its last."""
        self.reserved = 0
        """Bytes of body that it has announced or sent."""

    @property
    def idle(self) -> bool:
        """Between two requests, with nothing of the next one."""
        return not (self.busy or self.out or self.head or self.buffer or self.lingering)

    def take_head(self) -> Head | None:
        """Return the next request's head, once it is whole.

        Raises:
            HeadError: it is refused.
        """
        buffer = self.buffer
        while buffer[:2] == b"\r\n":  # RFC 9112, 2.2
            del buffer[:2]
        if not buffer:
            return None
        end = buffer.find(END, 0, MAX_HEAD + len(END))
        if end < 0:
            if looks_wrong(buffer):
                raise HeadError(400, "request line", "not `METHOD /path HTTP/1.1`")
            if len(buffer) > MAX_HEAD:
                raise HeadError(431, "headers", f"longer than {MAX_HEAD} bytes")
            return None
        head = parse(bytes(buffer[:end]))
        del buffer[: end + len(END)]
        return head

    def take_body(self) -> bytes | None:
        """Return the current request's body, once it is whole.

        Raises:
            HeadError: its chunks are refused.
        """
        if self.chunks is not None:
            return self.chunks.feed(self.buffer)
        length = self.head.length if self.head else 0
        if len(self.buffer) < length:
            return None
        body = bytes(memoryview(self.buffer)[:length])
        del self.buffer[:length]
        return body
