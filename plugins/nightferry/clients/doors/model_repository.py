"""The door to the model repository: `<prefix>/<version>/…`, with model.json written last."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nightferry.entities.model_version import ModelManifest, PinnedModel

OnBytes = Callable[[int], None]
"""Called with the number of bytes just moved, for progress."""


@dataclass(frozen=True)
class ModelListing:
    """A complete version, as a listing shows it."""

    version: str
    created: str
    """UTC, RFC 3339."""
    author: str
    size: int
    metrics: dict[str, object]
    sha256: str
    problem: str = ""
    """Why it cannot be released although it is complete: its model.json does not hold what it should."""

    @property
    def age(self) -> tuple[dt.datetime, list[str | int], str]:
        """What versions are ordered by: when they were created, and among equals their names as people count, v2
        before v10. Raises ValueError: `created` is no time."""
        parts = re.split(r"(\d+)", self.version)  # texts and numbers by turns
        natural: list[str | int] = [int(part) if index % 2 else part for index, part in enumerate(parts)]
        return dt.datetime.fromisoformat(self.created).astimezone(dt.UTC), natural, self.version


class ModelRepository(Protocol):
    """Versions of one service's model. A version without model.json does not exist."""

    def listings(self) -> Sequence[ModelListing]:
        """Complete versions, newest first (`age`).

        Raises:
            Permanent: (model_repository_missing, storage_denied)
            Temporary: (storage_unavailable)
        """
        ...

    def pin(self, version: str) -> tuple[PinnedModel, ModelManifest]:
        """The named version, with the ETags of `pinned_files`.

        Raises:
            Permanent: (model_unknown, model_incomplete: a listed file is not there or has another size,
                model_manifest_invalid, model_repository_missing, storage_denied)
            Temporary: (storage_unavailable)
        """
        ...

    def download(self, pinned: PinnedModel, name: str, target: Path, on_bytes: OnBytes | None = None) -> str:
        """Stream one file to `target`, conditional on its ETag if that is pinned; the sha256 of what was written.

        Memory stays flat whatever the size. An unfinished download leaves no file under the name of `target`.

        Raises:
            Permanent: (model_overwritten: the blob is not the one pinned, disk_full, storage_denied)
            Temporary: (storage_unavailable)
        """
        ...

    def publish(
        self, folder: Path, manifest: ModelManifest, content: bytes, on_bytes: OnBytes | None = None
    ) -> tuple[str, ...]:
        """Upload the files, then model.json (`content`), each created once; done again, it goes on where it stopped.

        Returns the names of what was uploaded: none when the version is there already.

        Raises:
            Permanent: (model_exists: the version is complete and differs, storage_denied, model_repository_missing)
            Temporary: (storage_unavailable)
        """
        ...
