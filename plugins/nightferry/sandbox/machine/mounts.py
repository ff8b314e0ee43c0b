"""Mounts that containers leave behind: taken away before the folders below them can be."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from collections.abc import Iterable
from pathlib import Path

DETACH = 2
"""MNT_DETACH: off the tree at once, freed when its last user is gone."""


def below(folders: Iterable[Path], table: Path = Path("/proc/self/mountinfo")) -> list[Path]:
    """What is mounted at or below the folders, the deepest first."""
    roots = [folder.resolve() for folder in folders]
    found = []
    for line in table.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        # The kernel writes spaces and the like as \040.
        point = Path(line.split()[4].encode("utf-8", "surrogateescape").decode("unicode_escape"))
        if any(point.is_relative_to(root) for root in roots):
            found.append(point)
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def detach(folders: Iterable[Path]) -> None:
    """Unmount what is mounted at or below the folders."""
    libc = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)
    for point in below(folders):
        if libc.umount2(os.fsencode(point), DETACH) != 0 and ctypes.get_errno() not in {2, 22}:
            # 2 and 22: it is gone, or is no mount any more, because the one above it went.
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(point))
