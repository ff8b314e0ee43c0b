"""`nightferry status`: what every part says of itself now."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine import cgroups
from nightferry.sandbox.supervise import parts
from nightferry.sandbox.supervise.parts import Known
from nightferry.sandbox.supervise.supervision import Process, Supervisor

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class PartStatus:
    """What one part says of itself."""

    name: str
    healthy: bool
    state: str
    """`healthy`, or what is missing."""
    address: str
    since: str | None
    """When its process started: UTC, RFC 3339."""
    pid: int | None
    memory: int
    """Bytes, of the process and its descendants; memory that several share counts once in all."""


@dataclass(frozen=True)
class Status:
    """What all parts say of themselves."""

    home: str
    running: bool
    parts: tuple[PartStatus, ...]
    containers_memory: int
    """Bytes in the containers of pods, tests and builds."""

    @property
    def healthy(self) -> bool:
        """Whether every part works."""
        return self.running and bool(self.parts) and all(part.healthy for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """The status as JSON, for programs."""
        return {
            "home": self.home,
            "running": self.running,
            "healthy": self.healthy,
            "parts": [asdict(part) for part in self.parts],
            "containers_memory": self.containers_memory,
        }


def status(layout: Layout) -> Status:
    """Ask every part, all at the same time."""
    supervisor = Supervisor(layout)
    processes = supervisor.processes()
    known = parts.kept(layout)
    children = _children()
    with ThreadPoolExecutor(max_workers=max(1, len(known))) as pool:
        answers = list(pool.map(lambda part: _ask(part, processes.get(part.name), children), known))
    return Status(
        home=str(layout.home),
        running=bool(processes),
        parts=tuple(answers),
        containers_memory=sum(memory(pid) for pid in cgroups.processes()) if processes else 0,
    )


def _ask(part: Known, process: Process | None, children: dict[int, list[int]]) -> PartStatus:
    if process is None or not process.running:
        state = "stopped" if process is None else process.state.lower()
        return PartStatus(part.name, False, state, part.address, None, None, 0)
    problem = part.probe.problem(process.started)
    since = datetime.fromtimestamp(process.started, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    used = sum(memory(pid) for pid in _tree(process.pid, children))
    return PartStatus(part.name, problem is None, problem or "healthy", part.address, since, process.pid, used)


def memory(pid: int) -> int:
    """Bytes that a process holds, its share of what it shares; all of it where the kernel tells only that."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE
    return 0


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
                found.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(folder.name))
    return found


def _tree(pid: int, children: dict[int, list[int]]) -> Iterable[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _tree(child, children)
