"""The watch's notes in the container of the ledger's notes: written with `If-Match`, made with `If-None-Match: *`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nightferry.clients.azure.errors import azure_errors, error_code, quiet
from nightferry.clients.azure.ledger import NOTES
from nightferry.clients.doors.cursor_store import Note
from nightferry.entities.reason import Reason

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from azure.storage.blob import BlobServiceClient


class AzureCursors:
    """A CursorStore."""

    def __init__(self, service: BlobServiceClient, ledger: str) -> None:
        quiet()
        self._storage = service.primary_hostname
        self._container = service.get_container_client(ledger + NOTES)

    def recall(self, name: str) -> Note | None:
        """The note and its ETag."""
        from azure.core.exceptions import ResourceNotFoundError

        with self._errors():
            try:
                blob = self._container.download_blob(name)
                return Note(bytes(blob.readall()), str(blob.properties.etag))
            except ResourceNotFoundError as fault:
                if error_code(fault) == "ContainerNotFound":
                    raise
                return None

    def replace(self, name: str, content: bytes, version: str | None) -> bool:
        """Write it unless somebody else has."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

        condition: dict[str, Any] = {"overwrite": False}
        if version is not None:
            condition = {"overwrite": True, "etag": version, "match_condition": MatchConditions.IfNotModified}
        with self._errors():
            try:
                self._container.upload_blob(name, content, **condition)
            except (ResourceExistsError, ResourceModifiedError):
                return False
            except ResourceNotFoundError as fault:
                if error_code(fault) == "ContainerNotFound":
                    raise
                return False  # somebody threw it away meanwhile
        return True

    def _errors(self) -> AbstractContextManager[None]:
        return azure_errors(self._storage, self._container.container_name, missing=Reason.LEDGER_MISSING)
