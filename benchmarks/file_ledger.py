"""A LedgerStore of plain files, and one that counts what is asked of another: for measuring what Nightferry costs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nightferry.clients.doors.ledger_store import LedgerStore


class FileLedger:
    """Keeps entries below `<folder>/entries` and notes below `<folder>/notes`."""

    def __init__(self, folder: Path) -> None:
        self.entries, self.notes = folder / "entries", folder / "notes"
        for place in (self.entries, self.notes):
            place.mkdir(parents=True, exist_ok=True)

    def names(self, service: str) -> Sequence[str]:
        """The names of the service's entries, in order."""
        try:
            found = sorted(f"{service}/{name}" for name in os.listdir(self.entries / service))  # noqa: PTH208 - a listing has names alone
        except FileNotFoundError:
            found = []
        return found

    def services(self) -> Sequence[str]:
        """The services that have entries."""
        return sorted(place.name for place in self.entries.iterdir() if place.is_dir())

    def read(self, name: str) -> bytes:
        """An entry's bytes; KeyError when there is none."""
        try:
            return (self.entries / name).read_bytes()
        except FileNotFoundError as fault:
            raise KeyError(name) from fault

    def create(self, name: str, content: bytes) -> bool:
        """Write an entry unless the name is taken; whether it was written."""
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
        try:
            return (self.notes / name).read_bytes()
        except OSError:
            return None

    def remember(self, name: str, content: bytes) -> None:
        """Keep a note, where there is a place for notes."""
        if self.notes.is_dir():
            file = self.notes / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)


class Counting:
    """Counts requests and bytes on their way to another store."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        self.requests = 0
        self.bytes = 0
        """Read and written, and the names of a listing."""

    def names(self, service: str) -> Sequence[str]:
        """As the store. A listing of Blob storage has 5,000 names."""
        found = self._store.names(service)
        self._count(sum(map(len, found)))
        self.requests += len(found) // 5000
        return found

    def services(self) -> Sequence[str]:
        """As the store."""
        self._count(0)
        return self._store.services()

    def read(self, name: str) -> bytes:
        """As the store."""
        self._count(0)
        content = self._store.read(name)
        self.bytes += len(content)
        return content

    def create(self, name: str, content: bytes) -> bool:
        """As the store."""
        self._count(len(content))
        return self._store.create(name, content)

    def recall(self, name: str) -> bytes | None:
        """As the store."""
        content = self._store.recall(name)
        self._count(len(content or b""))
        return content

    def remember(self, name: str, content: bytes) -> None:
        """As the store."""
        self._count(len(content))
        self._store.remember(name, content)

    def _count(self, size: int) -> None:
        self.requests += 1
        self.bytes += size
