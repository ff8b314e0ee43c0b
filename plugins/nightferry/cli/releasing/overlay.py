"""A ledger that only seems to be written to: for looking at what would be decided."""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.clients.ledger_store import LedgerStore


class Overlay:
    """Reads what is there; what is created stays in memory."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._created: dict[str, bytes] = {}

    def names(self, service: str) -> Sequence[str]:
        """The names of the service's entries, those in memory last."""
        return [*self._store.names(service), *(name for name in self._created if name.startswith(f"{service}/"))]

    def services(self) -> Sequence[str]:
        """The services that really have entries."""
        return self._store.services()

    def read(self, name: str) -> bytes:
        """An entry's bytes."""
        return self._created[name] if name in self._created else self._store.read(name)

    def create(self, name: str, content: bytes) -> bool:
        """Keep an entry in memory."""
        try:
            self.read(name)
        except KeyError:
            self._created[name] = content
            return True
        return False

    def recall(self, name: str) -> bytes | None:
        """A note: what is in memory comes after what it is about."""
        return self._store.recall(name)

    def remember(self, name: str, content: bytes) -> None:
        """Keep no note: it would be about what is in memory alone."""
