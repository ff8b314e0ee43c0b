"""How many files and connections this process may have open."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

RESERVE = 64
"""Kept for what is not a connection: the model's files, logs, pipes."""
MOST = 1024 * 1024


def raise_limit() -> None:
    """Raise the soft limit to the hard one, which is what it is for; where that is not allowed, leave it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def left() -> int:
    """Return how many connections may be opened, at least 16."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST
    return max(16, soft - _open() - RESERVE)


def _open() -> int:
    try:
        return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))
    except OSError:
        return RESERVE
