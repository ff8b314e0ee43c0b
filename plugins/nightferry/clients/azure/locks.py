"""Locks of an app's requirements in Azure Blob Storage, beside the service's models."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nightferry.clients.azure.errors import azure_errors, error_code, quiet
from nightferry.clients.azure.stream import stream_blob
from nightferry.clients.full_disk import full_disk
from nightferry.clients.versions.writing import hashing_file
from nightferry.entities.app.lock import LOCK
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from azure.storage.blob import BlobServiceClient

FOLDER = ".locks"
WHEELS = "wheels"
_NUMBERED = re.compile(rf"(\d{{6}})/{re.escape(LOCK)}")


class AzureLocks:
    """A LockStore: `<container>/<prefix>/.locks/<key>/<number>/lock.json`, and `…/wheels/<sha256>/<file>`: named by
    their content, wheels of two who lock at the same moment do not meet."""

    def __init__(self, service: BlobServiceClient, container: str, prefix: str) -> None:
        quiet()
        self._storage = service.primary_hostname
        self._container = service.get_container_client(container)
        self._place = f"{prefix}/{FOLDER}"
        self._where = f"azure-blob://{container}/{prefix}"

    def newest(self, key: str) -> tuple[int, bytes] | None:
        """The number and lock.json of the newest lock."""
        place = f"{self._place}/{key}/"
        with self._errors():
            names = [name.removeprefix(place) for name in self._container.list_blob_names(name_starts_with=place)]
        numbers = [int(found[1]) for name in names if (found := _NUMBERED.fullmatch(name))]
        if not numbers:
            return None
        content = self.read(key, max(numbers))
        return None if content is None else (max(numbers), content)

    def read(self, key: str, number: int) -> bytes | None:
        """lock.json of one."""
        from azure.core.exceptions import ResourceNotFoundError

        with self._errors():
            try:
                return bytes(self._container.download_blob(self._name(key, number, LOCK)).readall())
            except ResourceNotFoundError as fault:
                if error_code(fault) == "ContainerNotFound":
                    raise
                return None

    def create(self, key: str, number: int, folder: Path) -> bool:
        """Keep the wheels, then lock.json, unless it is there."""
        for wheel in sorted((folder / WHEELS).glob("*.whl")):
            with wheel.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            # One that is there is whole, and has this content: an upload shows when it is complete.
            self._upload(self._name(key, number, f"{WHEELS}/{sha256}/{wheel.name}"), wheel)
        content = (folder / LOCK).read_bytes()
        # Told that it is there, after an answer was lost, it may be this very one.
        return self._upload(self._name(key, number, LOCK), folder / LOCK) or self.read(key, number) == content

    def fetch(self, key: str, number: int, folder: Path) -> None:
        """Write lock.json and the kept wheels into `folder`."""
        content = self.read(key, number)
        if content is None:
            raise self._missing(key, number, "is not there")
        (folder / WHEELS).mkdir(exist_ok=True)
        for package in json.loads(content)["packages"]:
            if package["kind"] == "kept":
                self._download(key, number, package["sha256"], folder / WHEELS / Path(package["file"]).name)
        (folder / LOCK).write_bytes(content)

    def _download(self, key: str, number: int, sha256: str, target: Path) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        blob = self._container.get_blob_client(self._name(key, number, f"{WHEELS}/{sha256}/{target.name}"))
        with self._errors(), full_disk(target.parent), hashing_file(target) as (write, digest):
            try:
                stream_blob(blob, None, write)
            except ResourceNotFoundError as fault:
                if error_code(fault) == "ContainerNotFound":
                    raise
                raise self._missing(key, number, f"lacks its wheel {target.name}") from fault
            if digest() != sha256:
                raise self._missing(key, number, f"has another wheel {target.name} than the one that was kept")

    def _upload(self, name: str, path: Path) -> bool:
        from azure.core.exceptions import ResourceExistsError

        with self._errors(), path.open("rb") as stream:
            try:
                self._container.upload_blob(name, stream, length=path.stat().st_size, overwrite=False)
            except ResourceExistsError as fault:
                if error_code(fault) not in ("BlobAlreadyExists", "BlobImmutableDueToPolicy"):
                    raise
                return False
        return True

    def _name(self, key: str, number: int, file: str) -> str:
        return f"{self._place}/{key}/{number:06d}/{file}"

    def _missing(self, key: str, number: int, what: str) -> Permanent:
        return Permanent(
            Reason.LOCK_MISSING,
            f"Lock {number} of the requirements {key[:12]} in {self._where} {what}: restore the container, or make "
            "another with `nightferry app lock SERVICE --upgrade` and release again.",
        )

    def _errors(self) -> AbstractContextManager[None]:
        return azure_errors(self._storage, self._container.container_name)
