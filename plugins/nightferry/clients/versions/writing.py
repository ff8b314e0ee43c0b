"""Write a file while it arrives: hashed, whatever its size.

While a piece is received and hashed, a thread writes the one before it: sockets, hashing and files wait without
Python's lock, and three pieces are the most that is in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO

Sink = Callable[[bytes], object]


@contextmanager
def hashing_file(target: Path) -> Iterator[tuple[Sink, Callable[[], str]]]:
    """A sink that writes to `target` and a function that tells the sha256 so far.

    The file has another name until the end, and none after a failure. A failure to write a piece is raised when the
    next one is handed over, or at the end; the thread that writes has ended in any case.
    """
    digest = hashlib.sha256()
    coming = target.with_name(f".{target.name}.part")
    written: Future[None] | None = None
    try:
        with coming.open("wb", buffering=0) as stream, ThreadPoolExecutor(1, "write-model") as writer:

            def sink(piece: bytes) -> None:
                nonlocal written
                digest.update(piece)
                if written:
                    written.result()
                written = writer.submit(_write, stream, piece)

            yield sink, digest.hexdigest
            if written:
                written.result()
        coming.replace(target)
    except BaseException:
        coming.unlink(missing_ok=True)
        raise


def _write(stream: FileIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[stream.write(rest) :]
