"""The model repository in MLflow's registry."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from nightferry.clients.doors.model_repository import ModelListing, OnBytes
from nightferry.clients.full_disk import full_disk
from nightferry.clients.mlflow.errors import MISSING, Refusal, mlflow_errors
from nightferry.clients.mlflow.foreign import not_ours
from nightferry.clients.mlflow.registry import LISTING, Registered, Registry
from nightferry.clients.mlflow.server import MlflowServer
from nightferry.clients.mlflow.upload import Held, upload_version
from nightferry.clients.versions import pinning
from nightferry.clients.versions.listing import listing_of_text, read_listing
from nightferry.clients.versions.pinning import StoredFile
from nightferry.clients.versions.writing import hashing_file
from nightferry.entities.model_version import (
    MANIFEST,
    ManifestFault,
    ModelManifest,
    PinnedModel,
    manifest_sha256,
    parse_manifest,
)
from nightferry.errors import Permanent

LONGEST_MANIFEST = 64 * 1024 * 1024
"""Bytes. With thousands of golden examples it has about one megabyte."""


class MlflowModels:
    """A ModelRepository: a registered model, and where there is an alias, the version that it is given to.

    MLflow has no ETags: in their place stands `<MLflow's number>:<sha256>`, and what was read is held against it.
    """

    def __init__(self, server: MlflowServer, name: str, alias: str = "") -> None:
        self._server, self._registry, self._alias = server, Registry(server, name), alias
        self._where = f"mlflow://{name}@{alias}" if alias else f"mlflow://{name}"
        self._folders: dict[int, str] = {}

    def listings(self) -> Sequence[ModelListing]:
        """Complete versions, newest first; with an alias the one that it is given to, if any. What was registered
        without Nightferry does not count; where the alias is given to such a one, that is its problem."""
        with self._errors():
            if not self._alias:
                return sorted(map(self._listing, self._registry.ours()), key=lambda one: one.age, reverse=True)
            one = self._registry.aliased(self._alias)
            if one is None:
                return []
            counting = next(iter(self._registry.ours(one.version)), None) if one.version else None
            if counting and counting.sha256 == one.sha256:
                return [self._listing(counting)]
            problem = not_ours(self._server, self._registry, self._where, one).sentence
            return [ModelListing(str(one.number), "1970-01-01T00:00:00Z", "", 0, {}, "", problem)]

    def pin(self, version: str) -> tuple[PinnedModel, ModelManifest]:
        """The named version; its files' sha256 stand where other systems have ETags."""
        with self._errors():
            one = next(iter(self._registry.ours(version)), None)
            if one is None:
                other = self._registry.numbered(version)
                if other is not None:
                    raise not_ours(self._server, self._registry, self._where, other)
                raise pinning.unknown(self._where, version, begun=False)
            content = self._manifest(one)
            if manifest_sha256(content) != one.sha256:
                raise pinning.overwritten(self._where, version, MANIFEST)
            return pinning.pin_files(self._where, version, content, self._files(one, content))

    def download(self, pinned: PinnedModel, name: str, target: Path, on_bytes: OnBytes | None = None) -> str:
        """Stream one file to `target`; its sha256, which is the pinned one where there is one."""
        number, _, _ = pinned.etags.get(MANIFEST, "").partition(":")
        if not number.isdecimal():  # pinned when the service's models were elsewhere
            raise pinning.overwritten(self._where, pinned.version, name)
        with self._errors(), full_disk(target.parent), hashing_file(target) as (write, sha256):

            def sink(piece: bytes) -> None:
                write(piece)
                if on_bytes:
                    on_bytes(len(piece))

            try:
                self._server.download(f"{self._folder(int(number))}/{name}", sink)
            except Refusal as refusal:
                if refusal.code != MISSING:
                    raise
                raise pinning.overwritten(self._where, pinned.version, name) from refusal
            found, wanted = sha256(), pinned.etags.get(name, "").partition(":")[2]
            if wanted and found != wanted:
                raise pinning.overwritten(self._where, pinned.version, name)
            return found

    def publish(
        self, folder: Path, manifest: ModelManifest, content: bytes, on_bytes: OnBytes | None = None
    ) -> tuple[str, ...]:
        """Upload what is missing, then create the version; of two that do so at once, one makes it."""
        name, sha256 = manifest.version, manifest_sha256(content)
        with self._errors():
            there = next(iter(self._registry.ours(name)), None)
            if there is None:
                number, uploaded = upload_version(
                    self._server, self._registry.name, folder, manifest, content, on_bytes
                )
                there = next(iter(self._registry.ours(name)), None)
                if there is None or there.number == number:
                    return uploaded
                self._registry.remove(number)
            if there.sha256 != sha256:
                raise pinning.exists(self._where, name)
            return ()

    def _listing(self, one: Registered) -> ModelListing:
        found = listing_of_text(one.version, one.tags[LISTING]) if LISTING in one.tags else None
        if found is not None and found.sha256 == one.sha256:
            return found
        try:
            return read_listing(one.version, self._manifest(one), one.created)
        except Permanent as fault:  # one that is not as it should be hides no other
            created = one.created.isoformat().replace("+00:00", "Z")
            return ModelListing(one.version, created, "", 0, {}, one.sha256, fault.sentence)

    def _files(self, one: Registered, content: bytes) -> dict[str, StoredFile]:
        """What is there of what model.json lists."""
        held, files = Held(self._server, self._folder(one.number)), {}
        files[MANIFEST] = StoredFile(len(content), f"{one.number}:{one.sha256}")
        try:
            listed = parse_manifest(content).files
        except ManifestFault:
            return files  # whoever pins says so
        for file in listed:
            size = held.size(file.name)
            if size is not None:
                files[file.name] = StoredFile(size, f"{one.number}:{file.sha256}")
        return files

    def _manifest(self, one: Registered) -> bytes:
        pieces: list[bytes] = []
        room = LONGEST_MANIFEST

        def sink(piece: bytes) -> None:
            nonlocal room
            room -= len(piece)
            if room < 0:
                raise pinning.overwritten(self._where, one.version, MANIFEST)
            pieces.append(piece)

        try:
            self._server.download(f"{self._folder(one.number)}/{MANIFEST}", sink)
        except Refusal as refusal:
            if refusal.code != MISSING:
                raise
            raise pinning.overwritten(self._where, one.version, MANIFEST) from refusal
        return b"".join(pieces)

    def _folder(self, number: int) -> str:
        if number not in self._folders:
            self._folders[number] = self._registry.folder(number)
        return self._folders[number]

    def _errors(self) -> AbstractContextManager[None]:
        return mlflow_errors(self._server.host)
