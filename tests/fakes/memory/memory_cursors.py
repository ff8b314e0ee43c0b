"""The watch's notes in memory."""

from __future__ import annotations

import threading

from nightferry.clients.doors.cursor_store import Note
from nightferry.errors import NightferryError


class MemoryCursors:
    """Keeps notes in a dict, which may be edited. Set `fault` to make every call fail with it."""

    def __init__(self) -> None:
        self.notes: dict[str, Note] = {}
        self.fault: NightferryError | None = None
        self._lock = threading.Lock()
        self._writes = 0

    def recall(self, name: str) -> Note | None:
        self._check()
        return self.notes.get(name)

    def replace(self, name: str, content: bytes, version: str | None) -> bool:
        self._check()
        with self._lock:
            there = self.notes.get(name)
            if (there.version if there else None) != version:
                return False
            self._writes += 1
            self.notes[name] = Note(content, str(self._writes))
            return True

    def _check(self) -> None:
        if self.fault:
            raise self.fault
