"""A full disk, recognised."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Turn "no space left" (also: over the quota, over the limit for one file) into Permanent (disk_full)."""
    try:
        yield
    except OSError as fault:
        if fault.errno not in _FULL:
            raise
        raise Permanent(Reason.DISK_FULL, f"The disk that holds {folder} is full; make room there.") from fault
