"""What the kernel knows of the service's processes, for /metrics."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

FIELDS = {
    "process_resident_memory_bytes": ("gauge", "Resident memory of all workers; pages they share count in each"),
    "process_open_fds": ("gauge", "Open files of all workers"),
    "process_threads": ("gauge", "Threads of all workers"),
}


def cpu_seconds(pids: list[int], proc: Path = Path("/proc")) -> float:
    """Return the CPU time of these processes, or of this one if none is given; of those that are there."""
    stats = [_stat(proc / str(pid)) for pid in pids or [os.getpid()]]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats if stat) / os.sysconf("SC_CLK_TCK")


def lines(pids: list[int], used: float, proc: Path = Path("/proc")) -> Iterator[str]:
    """Yield Prometheus lines for these processes, or for this one if none is given; nothing where there is no /proc.

    Args:
        used: seconds of CPU time, of those that have ended too.
    """
    found = [numbers for pid in pids or [os.getpid()] if (numbers := _numbers(proc / str(pid)))]
    if not found:
        return
    yield "# HELP process_cpu_seconds_total CPU time of all workers"
    yield "# TYPE process_cpu_seconds_total counter"
    yield f"process_cpu_seconds_total {used}"
    for i, (name, (kind, about)) in enumerate(FIELDS.items()):
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} {kind}"
        yield f"{name} {sum(numbers[i] for numbers in found)}"
    yield "# HELP process_max_fds Files that one worker may open"
    yield "# TYPE process_max_fds gauge"
    yield f"process_max_fds {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"
    yield "# HELP serving_workers Workers that are alive"
    yield "# TYPE serving_workers gauge"
    yield f"serving_workers {len(found)}"


def _stat(folder: Path) -> list[str] | None:
    """Return the fields behind the command's name, which, in parentheses, may itself hold spaces and parentheses."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _numbers(folder: Path) -> tuple[float, float, float] | None:
    stat = _stat(folder)
    try:
        files = len(list((folder / "fd").iterdir()))
    except OSError:
        return None
    if stat is None:
        return None
    return float(int(stat[21]) * os.sysconf("SC_PAGE_SIZE")), float(files), float(stat[17])
