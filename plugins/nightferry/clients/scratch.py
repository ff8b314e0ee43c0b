"""Folders for a moment. One that a killed process left behind goes when the next of its kind is made."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STALE_SECONDS = 24 * 3600
"""Nothing of ours runs that long."""


@contextmanager
def scratch(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A folder of mode 0700 that is there until the block ends.

    Args:
        prefix: begins its name, and tells whose leftovers are swept: those of this user, a day old.
        parent: where; made if need be. None: the machine's folder for temporary files.
    """
    where = parent or Path(tempfile.gettempdir())
    where.mkdir(parents=True, exist_ok=True)
    _sweep(where, prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=where) as folder:
        yield Path(folder)


def _sweep(where: Path, prefix: str) -> None:
    for left in where.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # another process may be sweeping too
            found = left.lstat()
            if found.st_uid == os.getuid() and time.time() - found.st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
