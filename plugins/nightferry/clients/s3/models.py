"""The model repository in an S3 storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from nightferry.clients.doors.model_repository import ModelListing, OnBytes
from nightferry.clients.full_disk import full_disk
from nightferry.clients.s3.connection import S3Service
from nightferry.clients.s3.errors import is_changed, quiet, s3_errors
from nightferry.clients.s3.index import Index
from nightferry.clients.s3.stream import stream_object
from nightferry.clients.s3.upload import Upload
from nightferry.clients.versions import pinning
from nightferry.clients.versions.listing import read_listing
from nightferry.clients.versions.pinning import StoredFile
from nightferry.clients.versions.writing import hashing_file
from nightferry.entities.model_version import MANIFEST, ModelManifest, PinnedModel

READERS = 16
"""How many model.json are read at once that the index does not have."""


class S3Models:
    """A ModelRepository: `<bucket>/<prefix>/<version>/…`."""

    def __init__(self, service: S3Service, bucket: str, prefix: str) -> None:
        quiet()
        self._client, self._host = service.client, service.host
        self._bucket, self._prefix = bucket, prefix
        self._where = f"s3://{bucket}/{prefix}"

    def listings(self) -> Sequence[ModelListing]:
        """Complete versions, newest first: a request for a thousand objects, one for the index, and one for each
        version that the index lacks."""
        with self._errors():
            found = {version: facts for version, facts in self._manifests()}
            etags = {version: facts["ETag"] for version, facts in found.items()}
            index = Index(self._client, self._bucket, self._prefix)
            listed = index.read(etags) if found else {}
            missing = [version for version in found if version not in listed]
            with ThreadPoolExecutor(READERS, "list-models") as pool:
                read = pool.map(lambda version: self._listing(version, found[version]), missing)
                listed |= {listing.version: listing for listing in read if listing}
            if missing:
                index.keep(etags, listed)
        return sorted(listed.values(), key=lambda listing: listing.age, reverse=True)

    def pin(self, version: str) -> tuple[PinnedModel, ModelManifest]:
        """The named version, with the ETags of what the model consists of."""
        files = self._files(version)
        if MANIFEST not in files:
            raise pinning.unknown(self._where, version, begun=bool(files))
        return pinning.pin_files(self._where, version, self._manifest(version, files[MANIFEST].etag), files)

    def download(self, pinned: PinnedModel, name: str, target: Path, on_bytes: OnBytes | None = None) -> str:
        """Stream one file to `target`, conditional on the pinned ETag, if there is one; its sha256."""
        from botocore.exceptions import ClientError

        key = f"{self._prefix}/{pinned.version}/{name}"
        with self._errors(), full_disk(target.parent), hashing_file(target) as (write, sha256):

            def sink(piece: bytes) -> None:
                write(piece)
                if on_bytes:
                    on_bytes(len(piece))

            try:
                stream_object(self._client, self._bucket, key, pinned.etags.get(name), sink)
            except ClientError as error:
                if is_changed(error):
                    raise pinning.overwritten(self._where, pinned.version, name) from error
                raise
            return sha256()

    def publish(
        self, folder: Path, manifest: ModelManifest, content: bytes, on_bytes: OnBytes | None = None
    ) -> tuple[str, ...]:
        """Upload what is missing of the version, model.json last."""
        files = self._files(manifest.version)
        if MANIFEST in files:
            if self._manifest(manifest.version, files[MANIFEST].etag) == content:
                return ()
            raise pinning.exists(self._where, manifest.version)
        with self._errors():
            place = f"{self._prefix}/{manifest.version}"
            upload = Upload(self._client, self._bucket, self._where, place)
            return upload.version(folder, manifest, content, files, on_bytes)

    def _manifests(self) -> Iterator[tuple[str, Any]]:
        for facts in self._objects(f"{self._prefix}/"):
            version, _, name = facts["Key"].removeprefix(f"{self._prefix}/").partition("/")
            if name == MANIFEST:
                yield version, facts

    def _listing(self, version: str, facts: Any) -> ModelListing | None:
        """From model.json; None where it was removed or overwritten just now."""
        from botocore.exceptions import ClientError

        try:
            found = self._client.get_object(Bucket=self._bucket, Key=facts["Key"], IfMatch=facts["ETag"])
        except ClientError as error:
            if is_changed(error):
                return None
            raise
        return read_listing(version, found["Body"].read(), facts["LastModified"])

    def _files(self, version: str) -> dict[str, StoredFile]:
        place = f"{self._prefix}/{version}/"
        with self._errors():
            return {
                facts["Key"].removeprefix(place): StoredFile(facts["Size"], facts["ETag"])
                for facts in self._objects(place)
            }

    def _objects(self, place: str) -> Iterator[Any]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=place)
        for page in pages:
            yield from page.get("Contents", ())

    def _manifest(self, version: str, etag: str) -> bytes:
        from botocore.exceptions import ClientError

        pieces: list[bytes] = []
        with self._errors():
            try:
                stream_object(self._client, self._bucket, f"{self._prefix}/{version}/{MANIFEST}", etag, pieces.append)
            except ClientError as error:
                if is_changed(error):
                    raise pinning.overwritten(self._where, version, MANIFEST) from error
                raise
        return b"".join(pieces)

    def _errors(self) -> AbstractContextManager[None]:
        return s3_errors(self._host, self._bucket)
