"""Ending what a sandbox left behind: processes without a supervisor, containers without a runtime, mounts, sockets."""

from __future__ import annotations

import shutil

from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine import cgroups, mounts, orphans

KEPT = {"lock", "holder.json"}
"""Files of the runtime folder that say whose the machine's sandbox is."""
CONTAINER_SECONDS = 8.0
"""How long containers get to end by themselves when the sandbox is stopped."""
REMAINDER_SECONDS = 2.0
"""How long anything gets that a killed sandbox left: etcd ends in less, and what is in containers is lost anyway."""


def remaining(layout: Layout) -> set[int]:
    """Every process of the sandbox, but for those in containers."""
    try:
        supervisor = int((layout.runtime / "supervisord.pid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        supervisor = None
    # PostgreSQL's processes have sessions of their own and write over their environment.
    return orphans.find(layout.home, supervisor) | orphans.at_work(layout.database / "data", "postgres")


def end_containers() -> None:
    """End every process in every container of the sandbox."""
    cgroups.end_processes(CONTAINER_SECONDS)


def end(layout: Layout) -> None:
    """End all that still runs of this sandbox, and clear what does not outlive it. Nothing left is fine."""
    orphans.end(remaining(layout), REMAINDER_SECONDS)
    cgroups.end_processes(REMAINDER_SECONDS)
    # What ended last may have had the time to start something.
    orphans.end(remaining(layout), REMAINDER_SECONDS)
    cgroups.remove()
    mounts.detach([layout.runtime, layout.home])
    for path in layout.runtime.iterdir():
        if path.name not in KEPT:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
