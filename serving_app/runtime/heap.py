"""How this process gives memory back.

glibc learns from the first large block that is freed to keep such blocks in its heap, where the small ones that come
to lie between them hold them for good: after some hundred large pictures a worker would take half as much memory again.
With a limit that is set, it learns nothing: what is larger always goes back to the system at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc

LARGE = 1024 * 1024
"""Bytes. Mapping such a block afresh takes as long as writing it once."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


def give_back_large_blocks() -> bool:
    """Set the limit; False where the C library has none."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGE) and mallopt(_TRIM_THRESHOLD, LARGE))


def settle() -> None:
    """Give back what reading the model has left free. What lives now lives on: the collector need not look at it again,
    nor copy pages that are shared with other processes by doing so."""
    gc.collect()
    gc.freeze()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
