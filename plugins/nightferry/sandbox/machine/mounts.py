"""Mounts that containers leave behind: taken away before the folders below them can be."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from collections.abc import Iterable
from pathlib import Path

DETACH = 2
"""MNT_DETACH: off the tree at once, freed when its last user is gone."""
_OF_OVERLAYS = ("lowerdir", "upperdir")


def below(folders: Iterable[Path], table: Path = Path("/proc/self/mountinfo")) -> list[Path]:
    """What is mounted at or below the folders, or made of what lies there, the deepest first.

    A builder that is killed leaves overlays of its layers in the machine's folder for temporary files.
    """
    roots = [folder.resolve() for folder in folders]
    found = []
    for line in table.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        words = line.split()
        point = _path(words[4])
        if any(path.is_relative_to(root) for root in roots for path in (point, *_layers(words[-1]))):
            found.append(point)
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def _layers(options: str) -> list[Path]:
    """The folders that an overlay is made of, by its mount options."""
    given = (option.partition("=") for option in options.split(","))
    return [_path(each) for name, _, value in given if name in _OF_OVERLAYS for each in value.split(":")]


def _path(written: str) -> Path:
    """The kernel writes spaces and the like as \\040."""
    return Path(written.encode("utf-8", "surrogateescape").decode("unicode_escape"))


def detach(folders: Iterable[Path]) -> None:
    """Unmount what is mounted at or below the folders."""
    libc = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)
    for point in below(folders):
        if libc.umount2(os.fsencode(point), DETACH) != 0 and ctypes.get_errno() not in {2, 22}:
            # 2 and 22: it is gone, or is no mount any more, because the one above it went.
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(point))
