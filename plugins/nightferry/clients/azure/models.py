"""The model repository in Azure Blob Storage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nightferry.clients.azure.errors import azure_errors, quiet
from nightferry.clients.azure.listing import described
from nightferry.clients.azure.stream import stream_blob
from nightferry.clients.azure.upload import upload_version
from nightferry.clients.doors.model_repository import ModelListing, OnBytes
from nightferry.clients.full_disk import full_disk
from nightferry.clients.versions import pinning
from nightferry.clients.versions.listing import read_listing
from nightferry.clients.versions.pinning import StoredFile
from nightferry.clients.versions.writing import hashing_file
from nightferry.entities.model_version import MANIFEST, ModelManifest, PinnedModel

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from azure.storage.blob import BlobProperties, BlobServiceClient


class AzureModels:
    """A ModelRepository: `<container>/<prefix>/<version>/…`."""

    def __init__(self, service: BlobServiceClient, container: str, prefix: str) -> None:
        quiet()
        self._storage = service.primary_hostname
        self._container = service.get_container_client(container)
        self._prefix = prefix
        self._where = f"azure-blob://{container}/{prefix}"

    def listings(self) -> Sequence[ModelListing]:
        """Complete versions, newest first. One listing serves, as publishing describes the version in metadata."""
        found = []
        for version, blob in self._manifests():
            listing = described(version, blob.metadata)
            if listing is None:
                with self._errors():
                    content = bytes(self._container.download_blob(blob.name).readall())
                listing = read_listing(version, content, blob.last_modified)
            found.append(listing)
        return sorted(found, key=lambda listing: listing.age, reverse=True)

    def pin(self, version: str) -> tuple[PinnedModel, ModelManifest]:
        """The named version, with the ETags of what the model consists of."""
        blobs = self._blobs(version)
        if MANIFEST not in blobs:
            raise pinning.unknown(self._where, version, begun=bool(blobs))
        content = self._read_manifest(version, _etag(blobs[MANIFEST]))
        files = {name: StoredFile(blob.size, _etag(blob)) for name, blob in blobs.items()}
        return pinning.pin_files(self._where, version, content, files)

    def download(self, pinned: PinnedModel, name: str, target: Path, on_bytes: OnBytes | None = None) -> str:
        """Stream one file to `target`, conditional on the pinned ETag, if there is one; its sha256."""
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        blob = self._container.get_blob_client(f"{self._prefix}/{pinned.version}/{name}")
        with self._errors(), full_disk(target.parent), hashing_file(target) as (write, sha256):

            def sink(piece: bytes) -> None:
                write(piece)
                if on_bytes:
                    on_bytes(len(piece))

            try:
                stream_blob(blob, pinned.etags.get(name), sink)
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                if getattr(error, "error_code", None) == "ContainerNotFound":
                    raise
                raise pinning.overwritten(self._where, pinned.version, name) from error
            return sha256()

    def publish(
        self, folder: Path, manifest: ModelManifest, content: bytes, on_bytes: OnBytes | None = None
    ) -> tuple[str, ...]:
        """Upload what is missing of the version, model.json last."""
        blobs = self._blobs(manifest.version)
        if MANIFEST in blobs:
            if self._read_manifest(manifest.version, _etag(blobs[MANIFEST])) == content:
                return ()
            raise pinning.exists(self._where, manifest.version)
        with self._errors():
            place = f"{self._prefix}/{manifest.version}"
            return upload_version(self._container, place, folder, manifest, content, blobs, on_bytes)

    def _manifests(self) -> list[tuple[str, BlobProperties]]:
        with self._errors():
            blobs = self._container.list_blobs(name_starts_with=f"{self._prefix}/", include=["metadata"])
            found = []
            for blob in blobs:
                version, _, name = blob.name.removeprefix(f"{self._prefix}/").partition("/")
                if name == MANIFEST:
                    found.append((version, blob))
            return found

    def _blobs(self, version: str) -> dict[str, BlobProperties]:
        place = f"{self._prefix}/{version}/"
        with self._errors():
            blobs = self._container.list_blobs(name_starts_with=place, include=["metadata"])
            return {blob.name.removeprefix(place): blob for blob in blobs}

    def _read_manifest(self, version: str, etag: str) -> bytes:
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        pieces: list[bytes] = []
        with self._errors():
            try:
                stream_blob(
                    self._container.get_blob_client(f"{self._prefix}/{version}/{MANIFEST}"), etag, pieces.append
                )
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                raise pinning.overwritten(self._where, version, MANIFEST) from error
        return b"".join(pieces)

    def _errors(self) -> AbstractContextManager[None]:
        return azure_errors(self._storage, self._container.container_name)


def _etag(blob: BlobProperties) -> str:
    """As a condition wants it: listings give it without its quotes."""
    return f'"{blob.etag.strip(chr(34))}"'
