"""A ledger store in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from nightferry.errors import NightferryError


class MemoryLedger:
    """Keeps entries in a dict. Set `fault` to make every call fail with it."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.notes: dict[str, bytes] | None = {}
        """None: there is no place for notes."""
        self.fault: NightferryError | None = None
        self.reads = 0
        """How many entries were read."""
        self.asked = 0
        """How many requests there were, those for notes and for names that are not there too."""
        self._lock = threading.Lock()

    def names(self, service: str) -> Sequence[str]:
        self._check()
        return sorted(name for name in self.blobs if name.startswith(f"{service}/"))

    def services(self) -> Sequence[str]:
        self._check()
        return sorted({name.partition("/")[0] for name in self.blobs if "/" in name})

    def read(self, name: str) -> bytes:
        self._check()
        content = self.blobs[name]
        self.reads += 1
        return content

    def create(self, name: str, content: bytes) -> bool:
        self._check()
        with self._lock:
            if name in self.blobs:
                return False
            self.blobs[name] = content
            return True

    def recall(self, name: str) -> bytes | None:
        self.asked += 1
        return self.notes.get(name) if self.notes is not None and not self.fault else None

    def remember(self, name: str, content: bytes) -> None:
        self.asked += 1
        if self.notes is not None and not self.fault:
            self.notes[name] = content

    def _check(self) -> None:
        self.asked += 1
        if self.fault:
            raise self.fault
