"""The head of a request, read strictly: what two servers could read differently (RFC 9112, 11.2) is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from serving_app.errors import RequestError

MAX_HEAD = 16 * 1024
"""Bytes of request line and fields together; more is 431."""
MAX_FIELDS = 100
MAX_TARGET = 8 * 1024
END = b"\r\n\r\n"
CACHED = 256
"""Heads that are remembered: a client on a kept connection sends the same one again and again."""
CACHED_BYTES = 1024

_START = re.compile(rb"[A-Z]{1,16}(?: |\Z)")
_LINE = re.compile(rb"([A-Z]{1,16}) ([\x21-\x7e]+) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_ONCE = frozenset((b"host", b"content-length", b"transfer-encoding", b"content-type"))


@dataclass(slots=True)
class Head:
    """One request's head."""

    method: str
    path: str
    """As sent, up to the question mark, percent-encoding kept."""
    query: str
    minor: int
    """HTTP/1.0 or 1.1."""
    fields: dict[str, str] = field(default_factory=dict)
    """Lower-case name -> value; a field that came several times is joined by commas."""
    length: int = 0
    """Content-Length, 0 without one."""
    chunked: bool = False
    keep: bool = True
    """Whether the client keeps the connection open."""
    waits: bool = False
    """The client sends its body only after `100 Continue`."""
    plain_json: bool = False
    """Declared as application/json, not compressed, without tensors in binary: the short cut may read it."""


class HeadError(RequestError):
    """A head that is refused; the connection is closed after the answer, since nobody knows where it ends."""


_cache: dict[bytes, Head] = {}


def looks_wrong(start: bytes | bytearray) -> bool:
    """Whether these first bytes can never become a request: TLS, another protocol, noise."""
    return _START.match(start[:17]) is None


def parse(raw: bytes) -> Head:
    """Return the head whose bytes these are, without the empty line at its end.

    Raises:
        HeadError: not HTTP/1.x, or not unmistakably.
    """
    head = _cache.get(raw)
    if head is None:
        head = _parse(raw)
        if len(raw) <= CACHED_BYTES and "x-request-id" not in head.fields and "traceparent" not in head.fields:
            if len(_cache) >= CACHED:
                _cache.clear()
            _cache[raw] = head
    return head


def _parse(raw: bytes) -> Head:
    if len(raw) > MAX_HEAD:
        raise HeadError(431, "headers", f"longer than {MAX_HEAD} bytes")
    first, *lines = raw.split(b"\r\n")
    match = _LINE.fullmatch(first)
    if match is None:
        if re.search(rb" HTTP/[0-9.]+\Z", first) and not re.search(rb" HTTP/1\.[01]\Z", first):
            raise HeadError(400, "request line", "give HTTP/1.1")
        raise HeadError(400, "request line", "not `METHOD /path HTTP/1.1`")
    if len(match[2]) > MAX_TARGET:
        raise HeadError(414, "path", f"longer than {MAX_TARGET} bytes")
    if len(lines) > MAX_FIELDS:
        raise HeadError(431, "headers", f"{len(lines)} fields; {MAX_FIELDS} at most")
    path, _, query = _origin(match[2].decode("ascii")).partition("?")
    head = Head(match[1].decode(), path, query, int(match[3]))
    for line in lines:
        _add(head, line)
    _complete(head)
    return head


def _origin(target: str) -> str:
    if target.startswith("/") or target == "*":
        return target
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        raise HeadError(400, "path", "give a path that starts with /")
    rest = target[absolute.end() :]
    return rest if rest.startswith("/") else f"/{rest}"


def _add(head: Head, line: bytes) -> None:
    match = _FIELD.fullmatch(line)
    if match is None:
        raise HeadError(400, "headers", "a line is not `Name: value`")
    name, value = match[1].lower(), match[2].strip(b" \t")
    key = name.decode()
    if key not in head.fields:
        head.fields[key] = value.decode("latin-1")
    elif name in _ONCE:
        raise HeadError(400, match[1].decode(), "given twice")
    else:
        head.fields[key] += f",{value.decode('latin-1')}"


def _complete(head: Head) -> None:
    fields = head.fields
    if head.minor == 1 and "host" not in fields:
        raise HeadError(400, "Host", "missing")
    length, coding = fields.get("content-length"), fields.get("transfer-encoding")
    if length is not None:
        if not _LENGTH.fullmatch(length.encode("latin-1")):
            raise HeadError(400, "Content-Length", "not a whole number")
        head.length = int(length)
    if coding is not None:
        if length is not None or head.minor == 0:
            raise HeadError(400, "Transfer-Encoding", "not beside Content-Length, and not in HTTP/1.0")
        if coding.lower() != "chunked":
            raise HeadError(400, "Transfer-Encoding", "only chunked is spoken here")
        head.chunked = True
    expect = fields.get("expect")
    if expect is not None:
        if expect.lower() != "100-continue":
            raise HeadError(417, "Expect", "only 100-continue is known here")
        head.waits = head.minor == 1
    options = {option.strip() for option in fields.get("connection", "").lower().split(",")}
    head.keep = "close" not in options if head.minor else "keep-alive" in options
    head.plain_json = (
        fields.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
        and fields.get("content-encoding", "identity") == "identity"
        and "inference-header-content-length" not in fields
    )
