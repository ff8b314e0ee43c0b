"""The last requests that were answered, in memory of a fixed size that the workers share with the process that forked
them.

Each worker writes its own shelf, whoever is asked reads all of them, and nobody waits for anybody: what was overwritten
while it was read is known by its checksum and left out. A worker that was killed leaves its shelf behind.
"""

from __future__ import annotations

import mmap
import struct
import threading
import zlib
from collections.abc import Iterator
from typing import NamedTuple

BYTES = 8 * 1024 * 1024
"""That the requests of all workers take together; what is older than that is gone, however few they are."""
PART = 4
"""A request that takes more than a fourth of its worker's shelf is not kept: it would push out all others."""
PAUSE = 1.0
"""Seconds between two readings: one of eight megabytes takes some hundredths of a second, which callers would miss."""
_HEAD = struct.Struct("=QQQ")
"""How many were kept, where the next one goes, and how many were too large."""
_PLACE = struct.Struct("=QQQdI")
"""Number (from 1), offset and length of a request, when it was answered (monotonic seconds), checksum."""


class Kept(NamedTuple):
    """One request."""

    time: float
    data: bytes


class Shelf:
    """One worker's requests."""

    def __init__(self, memory: memoryview[int], most: int) -> None:
        self._most = most
        self._memory = memory
        self._data = memory[_HEAD.size + most * _PLACE.size :]
        self._lock = threading.Lock()

    @property
    def largest(self) -> int:
        """Bytes of a request that is kept, at most."""
        return len(self._data) // PART

    @property
    def too_large(self) -> int:
        """How many requests took more than that."""
        return int(_HEAD.unpack_from(self._memory)[2])

    def pass_over(self) -> None:
        """Count a request that is too large."""
        with self._lock:
            number, start, passed = _HEAD.unpack_from(self._memory)
            _HEAD.pack_into(self._memory, 0, number, start, passed + 1)

    def keep(self, data: bytes, now: float) -> None:
        """Keep a request, and forget the oldest where there is no room."""
        if len(data) > self.largest:
            self.pass_over()
            return
        with self._lock:
            number, start, passed = _HEAD.unpack_from(self._memory)
            if start + len(data) > len(self._data):
                start = 0
            self._data[start : start + len(data)] = data
            place = (number + 1, start, len(data), now)
            _PLACE.pack_into(self._memory, self._at(number % self._most), *place, _checksum(*place, data))
            _HEAD.pack_into(self._memory, 0, number + 1, start + len(data), passed)

    def read(self) -> Iterator[Kept]:
        """Yield the requests that are whole, in no order."""
        for index in range(self._most):
            number, start, length, time, checksum = _PLACE.unpack_from(self._memory, self._at(index))
            data = bytes(self._data[start : start + length]) if number else b""
            if number and _checksum(number, start, length, time, data) == checksum:
                yield Kept(time, data)

    def _at(self, index: int) -> int:
        return _HEAD.size + index * _PLACE.size


class Shelves:
    """The shelves of all workers."""

    def __init__(self, most: int, workers: int = 1) -> None:
        """Take the memory, which the system gives as it is used.

        Args:
            most: requests that are told; each worker keeps as many, since it may be the only one that is asked.
            workers: how many there are.
        """
        size = _HEAD.size + most * _PLACE.size + BYTES // workers
        self._told = memoryview(mmap.mmap(-1, 8)).cast("d")
        memory = memoryview(mmap.mmap(-1, size * workers))
        self.most = most
        self.rows = [Shelf(memory[i * size : (i + 1) * size], most) for i in range(workers)]

    def may_be_told(self, now: float) -> bool:
        """Whether the last reading, at whichever worker, is long enough ago; if it is, this one counts from now."""
        if now - self._told[0] < PAUSE:
            return False
        self._told[0] = now
        return True

    def text(self) -> bytes:
        """Return the last requests of all workers as a JSON document, oldest first."""
        found = sorted(kept for shelf in self.rows for kept in shelf.read())[-self.most :]
        too_large = sum(shelf.too_large for shelf in self.rows)
        head = b'{"most":%d,"largest_bytes":%d,"too_large":%d,"requests":['
        return b"%b%b]}" % (
            head % (self.most, self.rows[0].largest, too_large),
            b",".join(kept.data for kept in found),
        )


def _checksum(number: int, start: int, length: int, time: float, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(_PLACE.pack(number, start, length, time, 0)))
