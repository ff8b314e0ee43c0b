"""Which Docker engine to use: the one that runs on this machine, where its owner may use it, else one of our own."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nightferry.sandbox.layout import Owner
from nightferry.sandbox.supervise.probes import UnixHttp

SOCKET = Path("/var/run/docker.sock")


def running(owner: Owner, socket: Path = SOCKET) -> str | None:
    """The address of the machine's own engine; None where none answers or its socket is closed to the owner."""
    if UnixHttp(str(socket), "/_ping").problem(0) is not None or not _may_use(owner, socket):
        return None
    return f"unix://{socket}"


def _may_use(owner: Owner, socket: Path) -> bool:
    if owner.uid == 0:
        return True
    facts = socket.stat()
    groups = os.getgrouplist(owner.name, owner.gid)
    if facts.st_uid == owner.uid:
        return bool(facts.st_mode & stat.S_IWUSR)
    if facts.st_gid in groups:
        return bool(facts.st_mode & stat.S_IWGRP)
    return bool(facts.st_mode & stat.S_IWOTH)
