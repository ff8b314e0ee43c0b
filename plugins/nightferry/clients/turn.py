"""Whose turn it is on this machine: one process does a thing, one more may wait to do it after that."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nightferry.clients.clock import Clock
from nightferry.clients.full_disk import full_disk

PAUSE = 0.05


@contextmanager
def turn(folder: Path, name: str, clock: Clock, wait: float | None = None) -> Iterator[bool]:
    """Have the turn while the block runs; the block gets False where it is not to be had.

    Args:
        folder: where the locks are; made if need be. A process that dies gives its turn up.
        name: what is done.
        clock: for waiting.
        wait: seconds to wait for whoever has it, so as to begin after this call; None: not at all. Where another one
            waits already, that one begins after this call too, and there is nothing left to do.

    Raises:
        Permanent: (disk_full)
    """
    with full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock, (folder / f"{name}.next").open("w") as following:
        yield _has(lock) or (wait is not None and _has(following) and _in_time(lock, following, clock, wait))


def _in_time(lock: IO[str], following: IO[str], clock: Clock, wait: float) -> bool:
    deadline = clock.monotonic() + wait
    while not _has(lock):
        if clock.monotonic() >= deadline:
            return False
        clock.sleep(PAUSE)
    fcntl.flock(following, fcntl.LOCK_UN)
    return True


def _has(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
