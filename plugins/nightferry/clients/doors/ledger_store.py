"""The door to where the ledger is kept: blobs that are created once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class LedgerStore(Protocol):
    """Named, immutable pieces of bytes; and, kept elsewhere, notes that can be thrown away.

    Whoever calls it never makes the place: a person or `nightferry up` does.
    """

    def names(self, service: str) -> Sequence[str]:
        """The names of everything under `<service>/`, in order. It takes longer with every entry.

        Raises:
            Temporary: (storage_unavailable)   Permanent: (storage_denied, ledger_missing)
        """
        ...

    def services(self) -> Sequence[str]:
        """The services that have entries. Raises as `names`."""
        ...

    def read(self, name: str) -> bytes:
        """An entry's bytes. Raises as `names`; KeyError when there is none."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Write an entry unless the name is taken; whether it was written. Raises as `names`."""
        ...

    def recall(self, name: str) -> bytes | None:
        """A note; None when there is none, or when it cannot be had. It may be old or wrong, and decides nothing."""
        ...

    def remember(self, name: str, content: bytes) -> None:
        """Keep a note in place of the one before, if that can be done. It is lost without a word where it cannot."""
        ...
