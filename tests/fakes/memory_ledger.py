"""A ledger store in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from nightferry.errors import NightferryError


class MemoryLedger:
    """Keeps entries in a dict. Set `fault` to make every call fail with it."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.fault: NightferryError | None = None
        self.reads = 0
        """How many entries were read."""
        self._lock = threading.Lock()

    def names(self, service: str) -> Sequence[str]:
        self._check()
        return sorted(name for name in self.blobs if name.startswith(f"{service}/"))

    def services(self) -> Sequence[str]:
        self._check()
        return sorted({name.partition("/")[0] for name in self.blobs})

    def read(self, name: str) -> bytes:
        self._check()
        self.reads += 1
        return self.blobs[name]

    def create(self, name: str, content: bytes) -> bool:
        self._check()
        with self._lock:
            if name in self.blobs:
                return False
            self.blobs[name] = content
            return True

    def _check(self) -> None:
        if self.fault:
            raise self.fault
