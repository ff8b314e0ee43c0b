"""A LedgerStore of plain files, which counts what is asked of it: for measuring what Nightferry itself costs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


class FileLedger:
    """Keeps entries below `<folder>/entries` and notes below `<folder>/notes`. Set `requests` and `bytes` to 0 before
    what is to be counted."""

    def __init__(self, folder: Path) -> None:
        self.entries, self.notes = folder / "entries", folder / "notes"
        for place in (self.entries, self.notes):
            place.mkdir(parents=True, exist_ok=True)
        self.requests = 0
        self.bytes = 0
        """Read and written, and the names of a listing."""

    def names(self, service: str) -> Sequence[str]:
        """The names of the service's entries, in order."""
        try:
            found = sorted(f"{service}/{name}" for name in os.listdir(self.entries / service))
        except FileNotFoundError:
            found = []
        self._count(sum(map(len, found)))
        return found

    def services(self) -> Sequence[str]:
        """The services that have entries."""
        self._count(0)
        return sorted(place.name for place in self.entries.iterdir() if place.is_dir())

    def read(self, name: str) -> bytes:
        """An entry's bytes; KeyError when there is none."""
        self._count(0)
        try:
            content = (self.entries / name).read_bytes()
        except FileNotFoundError as fault:
            raise KeyError(name) from fault
        self.bytes += len(content)
        return content

    def create(self, name: str, content: bytes) -> bool:
        """Write an entry unless the name is taken; whether it was written."""
        self._count(len(content))
        file = self.entries / name
        file.parent.mkdir(exist_ok=True)
        try:
            with file.open("xb") as stream:
                stream.write(content)
        except FileExistsError:
            return False
        return True

    def recall(self, name: str) -> bytes | None:
        """A note; None when there is none."""
        self._count(0)
        try:
            content = (self.notes / name).read_bytes()
        except OSError:
            return None
        self.bytes += len(content)
        return content

    def remember(self, name: str, content: bytes) -> None:
        """Keep a note, where there is a place for notes."""
        self._count(len(content))
        if self.notes.is_dir():
            file = self.notes / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)

    def _count(self, size: int) -> None:
        self.requests += 1
        self.bytes += size
