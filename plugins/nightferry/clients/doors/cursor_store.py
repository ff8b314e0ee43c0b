"""The door to the notes that the watch keeps: they can be thrown away, and two who write at once notice each other."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Note(NamedTuple):
    """A note as it was read."""

    content: bytes
    version: str
    """Changes with every write."""


class CursorStore(Protocol):
    """Small notes by name, beside the ledger."""

    def recall(self, name: str) -> Note | None:
        """The note; None when there is none.

        Raises:
            Temporary: (storage_unavailable)   Permanent: (storage_denied, ledger_missing)
        """
        ...

    def replace(self, name: str, content: bytes, version: str | None) -> bool:
        """Write the note if it is still the version that was read, None: if there is none; whether it was written.

        Raises as `recall`.
        """
        ...
