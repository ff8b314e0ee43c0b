"""An answer as bytes."""

from __future__ import annotations

import http
from email.utils import formatdate
from typing import NamedTuple

import orjson

from serving_app.errors import RequestError, problem

JSON = b"Content-Type: application/json\r\n"
PROBLEM = b"Content-Type: application/problem+json\r\n"
_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus}
BODILESS = frozenset((204, 304))
"""Statuses whose answers have no body, and so no length."""
CONTINUE = _LINES[100] + b"\r\n"


class Answer(NamedTuple):
    """What goes back, before the headers that every answer has."""

    status: int
    headers: bytes
    """Whole lines, each with its end."""
    body: bytes
    length: int | None = None
    """Of the body that HEAD does not get."""


def refusal(error: RequestError, retry_seconds: int = 0) -> Answer:
    """Return a problem document."""
    headers = PROBLEM + (b"Retry-After: %d\r\n" % retry_seconds if retry_seconds else b"")
    return Answer(error.status, headers, orjson.dumps(error.problem()))


def failure(request_id: str, detail: str = "the model failed on this request") -> Answer:
    """Return a 500: it names the request, for whoever reads the log."""
    return Answer(500, PROBLEM, orjson.dumps({**problem(500, detail), "request_id": request_id}))


def date() -> bytes:
    """Return the Date header; valid for a second."""
    return b"Date: %b\r\n" % formatdate(usegmt=True).encode()


def encode(answer: Answer, *, date: bytes, request_id: str, more: bytes, body: bool) -> bytes:
    """Return the whole answer.

    Args:
        answer: status, headers and body.
        date: what `date()` gave.
        request_id: goes back in X-Request-Id.
        more: further header lines.
        body: False for HEAD, whose answer has the length but not the bytes.
    """
    line = _LINES.get(answer.status) or b"HTTP/1.1 %d \r\n" % answer.status
    name = request_id.encode("latin-1")
    if answer.status in BODILESS:
        return b"%b%b%bX-Request-Id: %b\r\n%b\r\n" % (line, answer.headers, date, name, more)
    return b"%b%b%bX-Request-Id: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (
        line,
        answer.headers,
        date,
        name,
        more,
        len(answer.body) if answer.length is None else answer.length,
        answer.body if body else b"",
    )
