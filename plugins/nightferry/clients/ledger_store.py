"""The door to where the ledger is kept: blobs that are created once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class LedgerStore(Protocol):
    """Named, immutable pieces of bytes."""

    def names(self, service: str) -> Sequence[str]:
        """The names of the service's entries, in order.

        Raises:
            Temporary: (storage_unavailable)   Permanent: (storage_denied)
        """
        ...

    def services(self) -> Sequence[str]:
        """The services that have entries."""
        ...

    def read(self, name: str) -> bytes:
        """An entry's bytes. Raises as `names`; KeyError when there is none."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Write an entry unless the name is taken; whether it was written. Raises as `names`."""
        ...
