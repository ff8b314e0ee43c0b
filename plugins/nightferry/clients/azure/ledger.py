"""The ledger in a Blob container of its own: blobs that are created once (`If-None-Match: *`)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nightferry.clients.azure.errors import azure_errors, error_code, quiet
from nightferry.entities.reason import Reason

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from azure.storage.blob import BlobServiceClient

NOTES = "-hints"
"""Ends the name of the container that notes are kept in: the ledger's own may be immutable."""
_TAKEN = {"BlobAlreadyExists", "BlobImmutableDueToPolicy"}
log = logging.getLogger(__name__)


class AzureLedger:
    """A LedgerStore. Its containers are made by `nightferry up` or by the operator, never here: a container that is
    gone must not become an empty one that looks as if nothing had been released yet."""

    def __init__(self, service: BlobServiceClient, container: str) -> None:
        quiet()
        self._storage = service.primary_hostname
        self._container = service.get_container_client(container)
        self._notes = service.get_container_client(container + NOTES)

    def names(self, service: str) -> Sequence[str]:
        """The names of everything under `<service>/`, in order."""
        with self._errors():
            return sorted(self._container.list_blob_names(name_starts_with=f"{service}/"))

    def services(self) -> Sequence[str]:
        """The services that have entries."""
        with self._errors():
            found = [item.name for item in self._container.walk_blobs(delimiter="/")]
        # A blob beside the folders is no service's.
        return sorted(name.rstrip("/") for name in found if name.endswith("/"))

    def read(self, name: str) -> bytes:
        """An entry's bytes; KeyError when there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        with self._errors():
            try:
                return bytes(self._container.download_blob(name).readall())
            except ResourceNotFoundError as fault:
                if error_code(fault) == "ContainerNotFound":
                    raise
                raise KeyError(name) from fault

    def create(self, name: str, content: bytes) -> bool:
        """Write an entry unless the name is taken; whether it was written.

        When an answer is lost on the way, the SDK asks again and is told that the name is taken: by this very entry.
        Whoever appends reads again then, and finds it by its key.
        """
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

    def recall(self, name: str) -> bytes | None:
        """A note; None when it cannot be had. It is asked for once: what it saves is less than another try costs."""
        from azure.core.exceptions import AzureError

        try:
            return bytes(self._notes.download_blob(name, retry_total=0).readall())
        except ValueError:  # the answer is none of a storage account
            log.debug("The note %s cannot be read.", name)
            return None
        except AzureError as fault:
            log.debug("The note %s cannot be read: %s", name, error_code(fault) or type(fault).__name__)
            return None

    def remember(self, name: str, content: bytes) -> None:
        """Keep a note, where that can be done at the first try."""
        from azure.core.exceptions import AzureError

        try:
            self._notes.upload_blob(name, content, overwrite=True, retry_total=0)
        except AzureError as fault:
            log.debug("The note %s cannot be kept: %s", name, error_code(fault) or type(fault).__name__)

    def _errors(self) -> AbstractContextManager[None]:
        return azure_errors(self._storage, self._container.container_name, missing=Reason.LEDGER_MISSING)
