"""The door to the locks of an app's requirements: `<prefix>/.locks/<key>/<number>/…` beside the service's models."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class LockStore(Protocol):
    """Locks of one service. Nothing in it is ever changed."""

    def newest(self, key: str) -> tuple[int, bytes] | None:
        """The number and lock.json of the newest lock of these requirements; None where there is none.

        Raises:
            Permanent: (model_repository_missing, storage_denied)
            Temporary: (storage_unavailable)
        """
        ...

    def read(self, key: str, number: int) -> bytes | None:
        """lock.json of one; None where there is none. Raises as `newest`."""
        ...

    def create(self, key: str, number: int, folder: Path) -> bool:
        """Keep `folder/lock.json` and, before it, `folder/wheels/*`; False where another was first with another
        lock.json, and nothing was changed. Raises as `newest`."""
        ...

    def fetch(self, key: str, number: int, folder: Path) -> None:
        """Write lock.json and the kept wheels into `folder` (which is there), as `create` took them.

        Raises as `newest`, and:
            Permanent: (lock_missing) there is none, or it lacks a wheel; (disk_full)
        """
        ...
