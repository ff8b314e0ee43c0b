"""A door in front of a storage that speaks HTTP: what goes through it is counted, refused, slowed down, cut off."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STEP = 64 * 1024
_OURS = {"content-length", "transfer-encoding", "connection", "keep-alive"}


@dataclass
class Refusal:
    """An answer that the storage itself would give."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Habits:
    """Set what is to go wrong; look at `asked` afterwards."""

    refusal: Refusal | None = None
    """What every request is answered."""
    cuts: list[int] = field(default_factory=list)
    """After how many bytes each of the next answers to a GET of something large breaks off."""
    pause: float = 0.0
    """Seconds before each piece of an answer."""
    drop_writes: int = 0
    """Of how many of the next PUT the request goes through and the answer is lost."""
    cut_uploads: int = 0
    """Of how many of the next PUT only half of the body arrives."""
    asked: list[str] = field(default_factory=list)
    """Method and path of each request."""


class Door(ThreadingHTTPServer):
    """Leads to `host:port`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.inner, self.habits = address, Habits()

    @property
    def address(self) -> str:
        """`host:port` of the door."""
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door

    def log_message(self, *_: object) -> None:
        """Nothing is said."""

    def _pass(self) -> None:
        habits = self.server.habits
        habits.asked.append(f"{self.command} {self.path}")
        body = self._body()
        if habits.refusal:
            self._answer(habits.refusal.status, habits.refusal.headers, habits.refusal.body)
            return
        if self.command == "PUT" and habits.cut_uploads:
            habits.cut_uploads -= 1
            self._half(body)
            self._break()
            return
        inner = http.client.HTTPConnection(self.server.inner, timeout=60)
        # A body that is not there is not announced.
        inner.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection", "transfer-encoding", "content-length"):
                inner.putheader(name, value)
        if body or self.command in ("PUT", "POST"):
            inner.putheader("Content-Length", str(len(body)))
        try:
            inner.endheaders(body or None)
            answer = inner.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):  # the storage is away
            inner.close()
            self._break()
            return
        length = answer.getheader("Content-Length") or "0"
        inner.close()
        if self.command == "PUT" and habits.drop_writes:
            habits.drop_writes -= 1
            self._break()
            return
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OURS}
        self._answer(answer.status, kept, content, length if self.command == "HEAD" else None)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _half(self, body: bytes) -> None:
        host, _, port = self.server.inner.rpartition(":")
        lines = [f"PUT {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers.items())]
        with socket.create_connection((host, int(port)), 10) as inner:
            inner.sendall("\r\n".join([*lines, "", ""]).encode() + body[: len(body) // 2])

    def _answer(self, status: int, headers: dict[str, str], content: bytes, length: str | None = None) -> None:
        habits = self.server.habits
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        end = len(content)
        if self.command == "GET" and len(content) > STEP and habits.cuts:
            end = min(end, habits.cuts.pop(0))
        try:
            for start in range(0, end, STEP):
                if habits.pause:
                    time.sleep(habits.pause)
                self.wfile.write(content[start : min(start + STEP, end)])
        except ConnectionError:
            return
        if end < len(content):
            self._break()

    def _break(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def door(address: str) -> Iterator[Door]:
    """Open; shut at the end."""
    with Door(address) as opened:
        threading.Thread(target=opened.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield opened
        finally:
            opened.shutdown()
