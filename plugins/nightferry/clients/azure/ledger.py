"""The ledger in a Blob container of its own: blobs that are created once (`If-None-Match: *`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nightferry.clients.azure.errors import azure_errors, error_code, quiet
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from azure.storage.blob import BlobServiceClient

_TAKEN = {"BlobAlreadyExists", "BlobImmutableDueToPolicy"}
_NO_CONTAINER = Reason.LEDGER_BROKEN


class AzureLedger:
    """A LedgerStore. The container is made with the first entry."""

    def __init__(self, service: BlobServiceClient, container: str) -> None:
        quiet()
        self._storage = service.primary_hostname
        self._container = service.get_container_client(container)

    def names(self, service: str) -> Sequence[str]:
        """The names of the service's entries, in order."""
        try:
            with self._errors():
                return sorted(self._container.list_blob_names(name_starts_with=f"{service}/"))
        except Permanent as fault:
            if fault.reason is _NO_CONTAINER:
                return []
            raise

    def services(self) -> Sequence[str]:
        """The services that have entries."""
        try:
            with self._errors():
                return sorted(found.name.rstrip("/") for found in self._container.walk_blobs(delimiter="/"))
        except Permanent as fault:
            if fault.reason is _NO_CONTAINER:
                return []
            raise

    def read(self, name: str) -> bytes:
        """An entry's bytes; KeyError when there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        with self._errors():
            try:
                return bytes(self._container.download_blob(name).readall())
            except ResourceNotFoundError as fault:
                raise KeyError(name) from fault

    def create(self, name: str, content: bytes) -> bool:
        """Write an entry unless the name is taken; whether it was written.

        When an answer is lost on the way, the SDK asks again and is told that the name is taken: by this very entry.
        Whoever appends reads again then, and finds it by its key.
        """
        try:
            return self._create(name, content)
        except Permanent as fault:
            if fault.reason is not _NO_CONTAINER:
                raise
        self._make_container()
        return self._create(name, content)

    def _create(self, name: str, content: bytes) -> bool:
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob import ContentSettings

        with self._errors():
            try:
                self._container.upload_blob(
                    name, content, overwrite=False, content_settings=ContentSettings(content_type="application/json")
                )
            except ResourceExistsError as fault:
                if error_code(fault) not in _TAKEN:
                    raise
                return False
        return True

    def _make_container(self) -> None:
        from azure.core.exceptions import ResourceExistsError

        with self._errors():
            try:
                self._container.create_container()
            except ResourceExistsError as fault:
                if error_code(fault) != "ContainerAlreadyExists":
                    raise

    def _errors(self) -> AbstractContextManager[None]:
        return azure_errors(self._storage, self._container.container_name, missing=_NO_CONTAINER)
