"""The containers of the sandbox's storage account: for models, for the ledger, and for notes about the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from nightferry.entities.reason import Reason
from nightferry.errors import Temporary

MODELS = "models"
EVENTS = "events"
"""The queue that the events of new blobs come through."""


def ensure(connection_string: str, names: Iterable[str]) -> None:
    """Make the containers that are missing.

    Raises:
        Temporary: (storage_unavailable) the account does not answer.
    """
    from azure.core.exceptions import AzureError, ResourceExistsError
    from azure.storage.blob import BlobServiceClient

    try:
        with BlobServiceClient.from_connection_string(connection_string, retry_total=2) as service:
            for name in names:
                try:
                    service.create_container(name)
                except ResourceExistsError:
                    continue
    except AzureError as cause:
        sentence = f"The sandbox's storage account does not answer: {cause}"
        raise Temporary(Reason.STORAGE_UNAVAILABLE, sentence) from cause


def ensure_queue(connection_string: str, name: str) -> None:
    """Make the queue where it is missing. Raises as `ensure`."""
    from azure.core.exceptions import AzureError, ResourceExistsError
    from azure.storage.queue import QueueServiceClient

    try:
        service = QueueServiceClient.from_connection_string(connection_string, retry_total=2)
        with service, suppress(ResourceExistsError):
            service.create_queue(name)
    except AzureError as cause:
        sentence = f"The sandbox's queues do not answer: {cause}"
        raise Temporary(Reason.STORAGE_UNAVAILABLE, sentence) from cause
