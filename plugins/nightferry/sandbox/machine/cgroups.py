"""The control group below which every container of the sandbox lives, so that none can be overlooked when it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

GROUP = "nightferry"
ROOT = Path("/sys/fs/cgroup")


def hierarchies(root: Path = ROOT) -> list[Path]:
    """The roots of the control group trees: one on version 2, one per controller on version 1."""
    if (root / "cgroup.controllers").exists():
        return [root]
    # Controllers mounted together appear under several names that are links to one folder.
    return sorted({path.resolve() for path in root.iterdir() if (path / "cgroup.procs").exists()})


def ensure(root: Path = ROOT) -> None:
    """Make the group in every tree, on version 2 with all controllers passed on to it."""
    for tree in hierarchies(root):
        _pass_on(tree)
        group = tree / GROUP
        group.mkdir(exist_ok=True)
        _pass_on(group)
        if (group / "cpuset.cpus").exists() and not (group / "cpuset.cpus").read_text(encoding="ascii").strip():
            # Version 1 gives a new group no processors and no memory node, and then nothing may enter it.
            for name in ("cpuset.cpus", "cpuset.mems"):
                (group / name).write_text((tree / name).read_text(encoding="ascii"), encoding="ascii")


def processes(root: Path = ROOT) -> set[int]:
    """Every process in the group."""
    found: set[int] = set()
    for tree in hierarchies(root):
        # Groups vanish while one looks: a folder that is gone is passed over.
        for folder, _folders, _files in os.walk(tree / GROUP):
            with contextlib.suppress(OSError):
                found.update(int(line) for line in Path(folder, "cgroup.procs").read_text(encoding="ascii").split())
    return found - {0, os.getpid()}


def end_processes(patience: float, root: Path = ROOT) -> None:
    """Ask every process in the group to end; after `patience` seconds, end it."""
    until = time.monotonic() + patience
    asked: set[int] = set()
    while left := processes(root):
        late = time.monotonic() >= until
        for pid in left if late else left - asked:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        asked |= left
        if time.monotonic() >= until + 10:
            return  # in uninterruptible sleep: nothing in this program can end it
        time.sleep(0.05)


def remove(root: Path = ROOT) -> None:
    """Remove the group, empty by now, and what is below it."""
    for tree in hierarchies(root):
        for folder, _folders, _files in os.walk(tree / GROUP, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()


def _pass_on(group: Path) -> None:
    """On version 2, let the groups below `group` have its controllers."""
    control = group / "cgroup.subtree_control"
    if control.exists():
        available = (group / "cgroup.controllers").read_text(encoding="ascii").split()
        for controller in available:
            with contextlib.suppress(OSError):  # one that cannot be passed on (real-time cpu, threaded) is not needed
                control.write_text(f"+{controller}", encoding="ascii")
