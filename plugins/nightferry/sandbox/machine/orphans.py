"""Processes of a sandbox whose supervisor is gone: found by their mark or their session, ended by their number."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nightferry.sandbox.layout import MARKER

PROC = Path("/proc")
ENDED = frozenset("ZX")
"""States of a process that ended and was not yet collected by its parent."""


@dataclass(frozen=True)
class Facts:
    """What the kernel says of a process."""

    state: str
    parent: int
    group: int
    session: int


def facts_of(pid: int, proc: Path = PROC) -> Facts | None:
    """What the kernel says of a process; None where there is no such one."""
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The program's name, in brackets, may hold anything.
    state, parent, group, session = stat.rpartition(")")[2].split()[:4]
    return Facts(state, int(parent), int(group), int(session))


def all_processes(proc: Path = PROC) -> dict[int, Facts]:
    """Every process there is."""
    pids = [int(folder.name) for folder in proc.iterdir() if folder.name.isdigit()]
    return {pid: facts for pid in pids if (facts := facts_of(pid, proc)) is not None}


def alive(pid: int, proc: Path = PROC) -> bool:
    """Whether the process runs: one that ended and was not yet collected by its parent does not."""
    facts = facts_of(pid, proc)
    return facts is not None and facts.state not in ENDED


def find(home: Path, supervisor: int | None = None, proc: Path = PROC) -> set[int]:
    """Every process of the sandbox in `home`, but for this one and those that it came from.

    They carry its mark in their environment; those that wrote over it to change their title are known by their session,
    which is their supervisor's number.

    Args:
        supervisor: the last number that the sandbox's supervisor had.
    """
    mark = f"{MARKER}={home}".encode()
    found = set()
    for pid, facts in all_processes(proc).items():
        if facts.state in ENDED:
            continue
        if (supervisor and facts.session == supervisor) or _marked(pid, mark, proc):
            found.add(pid)
    if supervisor is not None and supervisor in found and not _marked(supervisor, mark, proc):
        # The number belongs to another program by now; then nothing of ours is left in a session of this number.
        found = {pid for pid in found if _marked(pid, mark, proc)}
    return found - _ancestors(os.getpid(), proc)


def at_work(folder: Path, program: str, proc: Path = PROC) -> set[int]:
    """Every process of the program whose working folder is `folder`, whatever it wrote over its environment."""
    found = set()
    for pid, facts in all_processes(proc).items():
        with contextlib.suppress(OSError):
            if facts.state not in ENDED and (proc / str(pid) / "comm").read_text(encoding="utf-8").strip() == program:
                found |= {pid} if (proc / str(pid) / "cwd").readlink() == folder else set()
    return found


def end(pids: Iterable[int], patience: float = 5.0) -> None:
    """Ask the processes to end; after `patience` seconds (0: at once) end them. Returns when all are gone."""
    left = set(pids)
    for pid in left if patience else ():
        _signal(pid, signal.SIGTERM)
    until = time.monotonic() + patience
    while left := {pid for pid in left if alive(pid)}:
        if time.monotonic() >= until:
            for pid in left:
                _signal(pid, signal.SIGKILL)
            if time.monotonic() >= until + 10:
                return  # in uninterruptible sleep: nothing in this program can end it
        time.sleep(0.02)


def _marked(pid: int, mark: bytes, proc: Path) -> bool:
    try:
        return mark in (proc / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _ancestors(pid: int, proc: Path) -> set[int]:
    """The process and all that it came from: a task of the sandbox's Airflow may call us."""
    found: set[int] = set()
    while pid > 1 and pid not in found:
        found.add(pid)
        facts = facts_of(pid, proc)
        pid = facts.parent if facts else 0
    return found


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
