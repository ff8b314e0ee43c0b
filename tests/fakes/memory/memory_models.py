"""A model repository in memory."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

from nightferry.clients.doors.model_repository import ModelListing, OnBytes
from nightferry.clients.full_disk import full_disk
from nightferry.entities.model_version import (
    MANIFEST,
    ManifestFault,
    ModelManifest,
    PinnedModel,
    manifest_sha256,
    parse_manifest,
    pinned_files,
)
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary


class MemoryModels:
    """Keeps blobs by `<version>/<file>`; `blobs` may be edited. Set `fault` to make every call fail with it."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.fault: NightferryError | None = None
        self.breaks = False
        """Whether an upload breaks off before model.json."""
        self.downloads: list[str] = []
        self._one_at_a_time = threading.Lock()

    def listings(self) -> Sequence[ModelListing]:
        self._check()
        found = []
        for name, content in self.blobs.items():
            version, _, file = name.partition("/")
            if file != MANIFEST:
                continue
            sha256 = manifest_sha256(content)
            try:
                manifest = parse_manifest(content)
            except ManifestFault as fault:
                found.append(ModelListing(version, "1970-01-01T00:00:00Z", "", 0, {}, sha256, str(fault)))
                continue
            created = manifest.created.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
            found.append(ModelListing(version, created, manifest.author, manifest.size, dict(manifest.metrics), sha256))
        return sorted(found, key=lambda listing: listing.age, reverse=True)

    def pin(self, version: str) -> tuple[PinnedModel, ModelManifest]:
        self._check()
        content = self.blobs.get(f"{version}/{MANIFEST}")
        if content is None:
            raise Permanent(Reason.MODEL_UNKNOWN, f"There is no model {version}.")
        try:
            manifest = parse_manifest(content)
        except ManifestFault as fault:
            raise Permanent(Reason.MODEL_MANIFEST_INVALID, f"{version}: {fault}.") from fault
        if manifest.version != version:
            raise Permanent(Reason.MODEL_MANIFEST_INVALID, f"{version} says that it is {manifest.version}.")
        for file in manifest.files:
            if len(self.blobs.get(f"{version}/{file.name}", b"")) != file.size:
                raise Permanent(Reason.MODEL_INCOMPLETE, f"{file.name} of {version} is not as listed.")
        etags = {name: self._etag(f"{version}/{name}") for name in pinned_files(manifest)}
        pinned = PinnedModel(
            version=version,
            sha256=manifest_sha256(content),
            created=manifest.created,
            size=manifest.size,
            etags=etags,
        )
        return pinned, manifest

    def download(self, pinned: PinnedModel, name: str, target: Path, on_bytes: OnBytes | None = None) -> str:
        self._check()
        self.downloads.append(name)
        blob = f"{pinned.version}/{name}"
        if blob not in self.blobs or self._etag(blob) != pinned.etags.get(name, self._etag(blob)):
            raise Permanent(Reason.MODEL_OVERWRITTEN, f"{blob} is not the one that was pinned.")
        content = self.blobs[blob]
        with full_disk(target.parent):
            target.write_bytes(content)
        if on_bytes:
            on_bytes(len(content))
        if self.blobs.get(blob) != content:
            target.unlink()
            raise Permanent(Reason.MODEL_OVERWRITTEN, f"{blob} was overwritten while it was read.")
        return hashlib.sha256(content).hexdigest()

    def publish(
        self, folder: Path, manifest: ModelManifest, content: bytes, on_bytes: OnBytes | None = None
    ) -> tuple[str, ...]:
        with self._one_at_a_time:  # what the real ones do by conditions
            self._check()
            existing = self.blobs.get(f"{manifest.version}/{MANIFEST}")
            if existing == content:
                return ()
            if existing is not None:
                raise Permanent(Reason.MODEL_EXISTS, f"{manifest.version} is there with other content.")
            uploaded = []
            for name in (*(file.name for file in manifest.files), MANIFEST):
                if self.breaks and name == MANIFEST:
                    raise Temporary(Reason.STORAGE_UNAVAILABLE, "The connection broke.")
                data = content if name == MANIFEST else (folder / name).read_bytes()
                if self.blobs.get(f"{manifest.version}/{name}") != data:
                    self.blobs[f"{manifest.version}/{name}"] = data
                    uploaded.append(name)
                if on_bytes:
                    on_bytes(len(data))
            return tuple(uploaded)

    def _etag(self, blob: str) -> str:
        return f'"{hashlib.sha256(self.blobs[blob]).hexdigest()[:16]}"'

    def _check(self) -> None:
        if self.fault:
            raise self.fault
