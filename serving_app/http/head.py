"""The rules for a request's head that the parser leaves to us: what two servers could read differently (RFC 9112, 11.2)
is refused."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from serving_app.errors import RequestError

MAX_HEAD = 16 * 1024
"""Bytes of request line and fields together; more is 431."""
MAX_FIELDS = 100
MAX_TARGET = 8 * 1024
ONCE = frozenset((b"host", b"content-length", b"transfer-encoding", b"content-type"))

_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_MINOR = {"1.0": 0, "1.1": 1}


class HeadError(RequestError):
    """A request that is refused; the connection is closed after the answer, since nobody knows where it ends.

    Args:
        reason: one of metrics.REFUSED, if it is refused for want of room.
    """

    def __init__(self, status: int, field: str, detail: str, reason: str | None = None) -> None:
        super().__init__(status, field, detail)
        self.reason = reason


class Head:
    """One request's head."""

    __slots__ = ("chunked", "fields", "keep", "length", "method", "minor", "path", "plain_json", "query", "waits")

    def __init__(self, method: str, target: bytes, minor: int, fields: dict[bytes, bytes], *, keep: bool) -> None:
        raw, _, query = target.partition(b"?")
        self.method = method
        self.path = (unquote_to_bytes(raw) if b"%" in raw else raw).decode("latin-1")
        """Percent-decoded, each byte a character as WSGI has it. Whoever decides by the path decides by this one."""
        self.query = query.decode("latin-1")
        """As sent."""
        self.minor = minor
        """HTTP/1.0 or 1.1."""
        self.fields = fields
        """Lower-case name -> value; a field that came several times is joined by commas."""
        self.keep = keep
        """Whether the client keeps the connection open."""
        self.length = 0
        """Content-Length, 0 without one."""
        self.chunked = False
        self.waits = False
        """The client sends its body only after `100 Continue`."""
        self.plain_json = False
        """Declared as application/json, not compressed, without tensors in binary: the short cut may read it."""


def complete(method: str, target: bytes, version: str, fields: dict[bytes, bytes], *, keep: bool) -> Head:
    """Return the head that the parser has read.

    Raises:
        HeadError: not HTTP/1.x, or not unmistakably.
    """
    minor = _MINOR.get(version)
    if minor is None:
        raise HeadError(400, "request line", "give HTTP/1.1")
    if method == "CONNECT":
        raise HeadError(400, "method", "this is no proxy")
    head = Head(method, _origin(target), minor, fields, keep=keep)
    _check_host(head)
    _frame(head)
    expect = fields.get(b"expect")
    if expect is not None:
        if expect.lower() != b"100-continue":
            raise HeadError(417, "Expect", "only 100-continue is known here")
        head.waits = minor == 1
    kind = fields.get(b"content-type", b"")
    head.plain_json = (
        (kind == b"application/json" or kind.partition(b";")[0].strip().lower() == b"application/json")
        and fields.get(b"content-encoding", b"identity") == b"identity"
        and b"inference-header-content-length" not in fields
    )
    return head


def _origin(target: bytes) -> bytes:
    if b"#" in target:
        raise HeadError(400, "path", "a fragment is not sent")
    if target.startswith(b"/") or target == b"*":
        return target
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        raise HeadError(400, "path", "give a path that starts with /")
    rest = target[absolute.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def _check_host(head: Head) -> None:
    host = head.fields.get(b"host")
    if host is None:
        if head.minor:
            raise HeadError(400, "Host", "missing")
    elif not _HOST.fullmatch(host):
        raise HeadError(400, "Host", "not a name or address with or without a port")


def _frame(head: Head) -> None:
    """Where the request ends."""
    length, coding = head.fields.get(b"content-length"), head.fields.get(b"transfer-encoding")
    if length is not None:
        if not length.isdigit():
            raise HeadError(400, "Content-Length", "not a whole number")
        head.length = int(length)
    if coding is not None:
        if length is not None or not head.minor:
            raise HeadError(400, "Transfer-Encoding", "not beside Content-Length, and not in HTTP/1.0")
        if coding.lower() != b"chunked":
            raise HeadError(400, "Transfer-Encoding", "only chunked is spoken here")
        head.chunked = True
