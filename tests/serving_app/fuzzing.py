"""Requests that nobody would send, made from ones that somebody would: bytes, JSON, tensors and pictures, mutated.

What must hold for each of them, and soon: an answer below 500; or a closed connection, if the bytes are no whole
request. The same seed makes the same requests.
"""

from __future__ import annotations

import base64
import json
import random
import re
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.serving_app.models import picture
from tests.serving_app.running import Service

HEADER = "Inference-Header-Content-Length"
WAIT_SECONDS = 15
LARGEST = 100_000
"""Bytes of a document that is not made larger still."""
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 1e308, -1e-308, 0.1, "", "x", "b''", "é", "\ud83d\ude00",
    "\0", [], {},
    [[]], [None], {"": 0}, "A" * 5000, [0] * 300, [[1]] * 9, "NaN", -0.0, "[", "[[[[", '["', "data:image/png;base64,",
)  # fmt: skip
VERSIONS = (*("HTTP/1.1",) * 6, "HTTP/1.0", "HTTP/2.0", "HTCPCP/1.0", "")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW", "get", "")
PATHS = (
    "/", "/score", "/v2", "/v2/models/shades", "/v2/models/shades/infer",
    "/v2/models/shades/versions/v1/infer", "/version",
    "/metrics", "/livez", "/readyz", "/try", "/try.js", "/openapi.json", "/v2/health/ready",
    "/v2/models/shades/ready",
    "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//", "/score/../score", "/%00", "/%", "/%zz", "/\xff",
    "*", "x", "",
    "http://other/score", "/score?input=1", "/" + "a" * 9000, "/v2/models/" + "%f0" * 50, "/;", "/score#x",
)  # fmt: skip
FIELDS = (
    "Content-Length: 5", "Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: 0, 0",
    "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: \x0bchunked",
    "Expect: 100-continue",
    "Expect: x", "Connection: close", "Connection: upgrade", "Upgrade: h2c", "Host: a", "Host:",
    "Content-Type: text/html",
    "Content-Type: application/json", "Content-Type: \xff", "Content-Encoding: gzip", f"{HEADER}: 3", f"{HEADER}: 0",
    f"{HEADER}: x", "X-Request-Id: \x7f", "traceparent: 00-x-y-z", "Range: bytes=0-0,5-", "If-None-Match: *",
    "Accept: x/y",
    "A" * 20000, ": x", "X", "\tfolded", "Cookie: " + "a=b; " * 2000, "If-Modified-Since: yesterday",
    "Accept-Encoding: gzip",
)  # fmt: skip


@dataclass
class Report:
    """What came back."""

    requests: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    """Status -> how many; 0 is a connection that was closed without an answer."""
    failures: list[str] = field(default_factory=list)
    """What must not be: an answer of 500 or more, none in time, or none to a whole request. Each with its request."""


class Fuzzer:
    """Sends one odd request after another to a service of the model `shades`."""

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._connection: socket.socket | None = None
        self._kinds: tuple[Callable[[], bytes], ...] = (
            self._mutated_bytes,
            self._odd_head,
            self._odd_chunks,
            *(self._mutated_json,) * 3,
            *(self._mutated_tensor,) * 2,
            *(self._mutated_picture,) * 3,
            self._mutated_body,
        )

    def run(self, count: int, report: Report) -> None:
        """Send `count` requests."""
        for _ in range(count):
            kind = self._random.choice(self._kinds)
            request = kind()
            framed = kind not in (self._mutated_bytes, self._odd_head, self._odd_chunks)
            report.requests += 1
            try:
                status = self._exchange(request) if framed else self._send_and_close(request)
            except TimeoutError:
                report.failures.append(f"no answer within {WAIT_SECONDS} s to {request[:3000]!r}")
                continue
            report.answers[status] += 1
            if status >= 500 or (framed and not status):
                report.failures.append(f"{status or 'no answer'} to {request[:3000]!r}")
        if self._connection:
            self._connection.close()
            self._connection = None

    def _exchange(self, request: bytes) -> int:
        """Over a kept connection; the request says itself where it ends."""
        if self._connection is None:
            self._connection = socket.create_connection(("127.0.0.1", self._port), WAIT_SECONDS)
        data = b""
        try:
            self._connection.sendall(request)
            while b"\r\n\r\n" not in data:
                more = self._connection.recv(65536)
                if not more:
                    break
                data += more
            head, _, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            while length and len(body) < int(length[1]):
                more = self._connection.recv(65536)
                if not more:
                    break
                body += more
            kept = bool(length) and not re.search(rb"(?i)\r\nconnection: *close", head)
        except (ConnectionError, BrokenPipeError):
            kept = False
        if not kept:
            self._connection.close()
            self._connection = None
        found = STATUS.match(data)
        return int(found[1]) if found else 0

    def _send_and_close(self, request: bytes) -> int:
        """Over a connection of its own that is half closed then; the worst of what comes back counts."""
        with socket.create_connection(("127.0.0.1", self._port), WAIT_SECONDS) as connection:
            data = b""
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                while more := connection.recv(65536):
                    data += more
            except TimeoutError:
                raise
            except OSError:
                pass  # closed in the middle: what came before counts
        found = [int(status) for status in STATUS.findall(data)]
        return max(found, default=0)

    # ---- requests ----

    def _mutated_bytes(self) -> bytes:
        return self._mutate(self._good(), self._random.randint(1, 12))

    def _odd_head(self) -> bytes:
        pick = self._random
        path = pick.choice(PATHS)
        lines = [f"{pick.choice(METHODS)} {path} {pick.choice(VERSIONS)}"]
        lines += pick.choices(FIELDS, k=pick.randint(0, 6))
        if pick.random() < 0.8:
            lines.insert(1, "Host: a")
        if pick.random() < 0.02:
            lines += [f"X-{i}: {i}" for i in range(3000)]
        end = pick.choice(("\r\n",) * 8 + ("\n", "\r"))
        body = pick.choice((b"", b"{}", b"5\r\nhello\r\n0\r\n\r\n", pick.randbytes(30)))
        return (end.join(lines) + end + end).encode("latin-1") + body

    def _odd_chunks(self) -> bytes:
        body = self._good_body()
        parts = [
            b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        ]
        while body:
            size = self._random.randint(1, 400)
            parts.append(b"%x\r\n%b\r\n" % (min(size, len(body)), body[:size]))
            body = body[size:]
        parts.append(b"0\r\n\r\n")
        return self._mutate(b"".join(parts), self._random.randint(0, 4))

    def _mutated_json(self) -> bytes:
        document = json.loads(json.dumps(self._document()))
        for _ in range(self._random.randint(1, 4)):
            document = self._swap(document)
            if len(json.dumps(document)) > LARGEST:
                break
        path = self._random.choice(("/score", "/v2/models/shades/infer", "/v2/models/shades/versions/v1/infer"))
        return _post(path, json.dumps(document).encode())

    def _mutated_tensor(self) -> bytes:
        pick = self._random
        rows = pick.choice((0, 1, 1, 2, 9, 300))
        tail = pick.randbytes(rows * 16) if pick.random() < 0.5 else struct.pack(f"<{rows * 4}f", *[0.5] * rows * 4)
        if pick.random() < 0.3:
            files = [picture(pick.randrange(256)) for _ in range(max(1, rows % 5))]
            tail = b"".join(struct.pack("<I", len(file)) + file for file in files)
            entry = {"name": "image", "datatype": "BYTES", "shape": [len(files)]}
        else:
            entry = {"name": "image", "datatype": "FP32", "shape": [rows, 4]}
        document: Any = {"inputs": [{**entry, "parameters": {"binary_data_size": len(tail)}}]}
        document["parameters"] = {"binary_data_output": pick.random() < 0.5}
        if pick.random() < 0.5:
            document = self._swap(document)
        if pick.random() < 0.5:
            tail = self._mutate(tail, pick.randint(1, 5))
        head = json.dumps(document).encode()
        size = str(len(head) + pick.choice((0, 0, 0, 0, 1, -1, 10**9, -len(head))))
        return _post("/v2/models/shades/infer", head + tail, "application/octet-stream", f"{HEADER}: {size}\r\n")

    def _mutated_picture(self) -> bytes:
        pick = self._random
        data = picture(
            pick.randrange(256), pick.choice((1, 2, 17, 64)), pick.choice(("PNG", "JPEG", "GIF", "WEBP", "BMP"))
        )
        data = self._mutate(data, pick.randint(1, 10))
        return _post("/score", json.dumps({"input": [base64.b64encode(data).decode()]}).encode())

    def _mutated_body(self) -> bytes:
        path = self._random.choice(("/score", "/v2/models/shades/infer"))
        return _post(path, self._mutate(self._good_body(), self._random.randint(1, 10)))

    def _document(self) -> Any:
        if self._random.random() < 0.4:
            items = [base64.b64encode(picture(9)).decode()]
            return {"input": items if self._random.random() < 0.5 else json.dumps(items)}
        return {
            "id": "1",
            "parameters": {"binary_data_output": False},
            "inputs": [
                {"name": "image", "datatype": "FP32", "shape": [1, 4], "data": [0.1, 0.2, 0.3, 0.4], "parameters": {}}
            ],
            "outputs": [{"name": "scores", "parameters": {"binary_data": False}}],
        }

    def _good_body(self) -> bytes:
        return json.dumps(self._document()).encode()

    def _good(self) -> bytes:
        if self._random.random() < 0.3:
            return b"GET %b HTTP/1.1\r\nHost: a\r\nX-Request-Id: 1\r\n\r\n" % self._random.choice(PATHS[:12]).encode()
        return _post(self._random.choice(PATHS[1:6]), self._good_body())

    def _swap(self, node: Any) -> Any:
        """Replace something in a document, at any depth."""
        pick = self._random
        if isinstance(node, dict) and node and pick.random() < 0.8:
            key = pick.choice(list(node))
            if pick.random() < 0.1:
                return {
                    **{k: v for k, v in node.items() if k != key},
                    pick.choice(("", "data", "x", key + "x")): node[key],
                }
            return {**node, key: self._swap(node[key])}
        if isinstance(node, list) and node and pick.random() < 0.8:
            if pick.random() < 0.2:
                return node * pick.choice((0, 2, 300 if len(node) < 10 else 0))
            i = pick.randrange(len(node))
            return [*node[:i], self._swap(node[i]), *node[i + 1 :]]
        return pick.choice(ODD)

    def _mutate(self, data: bytes, times: int) -> bytes:
        pick = self._random
        changed = bytearray(data)
        for _ in range(times):
            at = pick.randrange(len(changed) + 1)
            end = min(len(changed), at + pick.choice((1, 1, 2, 8, 64)))
            kind = pick.randrange(6)
            if kind == 0:
                changed[at:end] = b""
            elif kind == 1:
                changed[at:at] = pick.randbytes(pick.choice((1, 2, 16)))
            elif kind == 2:
                changed[at:at] = changed[at:end] * pick.choice((1, 2, 20))
            elif kind == 3:
                changed[at:end] = pick.choice(
                    (b"\0", b"\xff" * 4, b"\r\n", b'"', b"[" * 40, b"9" * 30, b"\x7f\xff\xff\xff")
                )
            elif kind == 4 and pick.random() < 0.3:
                del changed[at:]
            elif at < len(changed):
                changed[at] ^= 1 << pick.randrange(8)
        return bytes(changed)


def memory(service: Service, kind: str = "Pss") -> int:
    """Return the bytes of memory that the service's processes take.

    Args:
        service: a running one.
        kind: `Pss`, in which what they share counts once, or `Rss`, in which it counts for each.
    """
    total = 0
    for pid in (service.process.pid, *service.workers()):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(rf"^{kind}: +(\d+) kB", lines, re.MULTILINE)[1]) * 1024  # type: ignore[index]
    return total


def _post(path: str, body: bytes, kind: str = "application/json", more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body
