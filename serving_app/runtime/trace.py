"""Who asked: the request's id and its trace (W3C Trace Context), taken from the request or made up."""

from __future__ import annotations

import itertools
import os
import re

REQUEST_ID = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,128}")
"""Without a comma: two ids that were joined are none."""
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")

_prefix = ""
_count = itertools.count()


def _begin() -> None:
    global _prefix, _count
    _prefix, _count = os.urandom(4).hex(), itertools.count()


_begin()
os.register_at_fork(after_in_child=_begin)  # two workers must not count from the same start


def request_id(given: str | None) -> str:
    """Return the client's id if it can stand in a header and a log line, else a new one of 16 hex digits."""
    if given is not None and REQUEST_ID.fullmatch(given):
        return given
    return f"{_prefix}{next(_count) & 0xFFFFFFFF:08x}"


def go_on(traceparent: str | None) -> tuple[str, str] | None:
    """Return the trace's id, and the traceparent under which this service's part of it goes; None without a trace."""
    match = TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if match is None:
        return None
    return match[1], f"00-{match[1]}-{os.urandom(8).hex()}-{match[2]}"
