"""Download a blob in ranges: the next ones are on their way while one is hashed and written, memory stays flat."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

PIECE = 8 * 1024 * 1024
"""Bytes of one range. Its memory is needed about twice: once while it arrives, once as a whole."""
AHEAD = 3
"""Ranges on their way at once."""
SLICE = 64 * 1024
"""Bytes that are hashed and then written while they are still in the processor's cache: half the time."""
Sink = Callable[[bytes], object]


def stream_blob(blob: BlobClient, etag: str, sink: Sink) -> None:
    """Hand the blob's bytes to `sink`, in order.

    Args:
        blob: the blob.
        etag: what it has to be, at every range; otherwise the SDK's ResourceModifiedError is raised.
        sink: called with each piece.
    """
    from azure.core import MatchConditions

    writer = _Writer(sink)
    size = blob.get_blob_properties(etag=etag, match_condition=MatchConditions.IfNotModified).size
    with _threads() as pool:
        waiting: deque[Future[Any]] = deque()
        for offset in range(0, size, PIECE):
            waiting.append(pool.submit(_range, blob, etag, offset))
            if len(waiting) == AHEAD:
                waiting.popleft().result().readinto(writer)
        while waiting:
            waiting.popleft().result().readinto(writer)


@contextmanager
def hashing_file(target: Path) -> Iterator[tuple[Sink, Callable[[], str]]]:
    """A sink that writes to `target` and a function that tells the sha256 so far.

    The file has another name until the end, and none after a failure.
    """
    digest = hashlib.sha256()
    coming = target.with_name(f".{target.name}.part")
    try:
        with coming.open("wb", buffering=0) as stream:

            def sink(piece: bytes) -> None:
                whole = memoryview(piece)
                for start in range(0, len(whole), SLICE):
                    rest = whole[start : start + SLICE]
                    digest.update(rest)
                    while rest:
                        rest = rest[stream.write(rest) :]

            yield sink, digest.hexdigest
        coming.replace(target)
    except BaseException:
        coming.unlink(missing_ok=True)
        raise


class _Writer:
    """What the SDK takes for a file; it hands over whole ranges without copying them."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, piece: bytes) -> int:
        self._sink(piece)
        return len(piece)


def _range(blob: BlobClient, etag: str, offset: int) -> Any:
    """A downloader whose range has arrived."""
    from azure.core import MatchConditions

    return blob.download_blob(offset, PIECE, etag=etag, match_condition=MatchConditions.IfNotModified)


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="fetch")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
