"""Processes of a sandbox whose supervisor is gone: found by the mark in their environment, ended by their number."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from nightferry.sandbox.layout import MARKER

PROC = Path("/proc")


def find(home: Path, proc: Path = PROC) -> set[int]:
    """Every process that carries the mark of the sandbox in `home`, but for this one and those that it came from."""
    mark = f"{MARKER}={home}".encode()
    found = set()
    for folder in proc.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
    return found - _ancestors(os.getpid(), proc)


def end(pids: Iterable[int], patience: float = 5.0) -> None:
    """Ask the processes to end; after `patience` seconds, end them. Returns when all are gone."""
    left = set(pids)
    for pid in left:
        _signal(pid, signal.SIGTERM)
    until = time.monotonic() + patience
    while left := {pid for pid in left if alive(pid)}:
        if time.monotonic() >= until:
            for pid in left:
                _signal(pid, signal.SIGKILL)
            if time.monotonic() >= until + 10:
                return  # in uninterruptible sleep: nothing in this program can end it
        time.sleep(0.05)


def alive(pid: int, proc: Path = PROC) -> bool:
    """Whether the process runs: one that ended and was not yet collected by its parent does not."""
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def _ancestors(pid: int, proc: Path) -> set[int]:
    """The process and all that it came from: a task of the sandbox's Airflow may call us."""
    found: set[int] = set()
    while pid > 1 and pid not in found:
        found.add(pid)
        try:
            stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        pid = int(stat.rpartition(")")[2].split()[1])
    return found


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
