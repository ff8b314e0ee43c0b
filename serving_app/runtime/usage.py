"""What the kernel knows of the service's processes, for /metrics."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

FIELDS = {
    "process_cpu_seconds_total": ("counter", "CPU time of all workers"),
    "process_resident_memory_bytes": ("gauge", "Resident memory of all workers; pages they share count in each"),
    "process_open_fds": ("gauge", "Open files of all workers"),
    "process_threads": ("gauge", "Threads of all workers"),
}


def lines(pids: list[int], proc: Path = Path("/proc")) -> Iterator[str]:
    """Yield Prometheus lines for these processes, or for this one if none is given; nothing where there is no /proc."""
    found = [numbers for pid in pids or [os.getpid()] if (numbers := _numbers(proc / str(pid)))]
    if not found:
        return
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


def _numbers(folder: Path) -> tuple[float, float, float, float] | None:
    try:
        # The command's name, in parentheses, may itself hold spaces and parentheses.
        stat = (folder / "stat").read_text().rpartition(")")[2].split()
        files = len(list((folder / "fd").iterdir()))
    except OSError:
        return None
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    return ((int(stat[11]) + int(stat[12])) / ticks, float(int(stat[21]) * page), float(files), float(stat[17]))
