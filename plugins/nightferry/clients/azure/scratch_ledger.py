"""A record that is made for a while and thrown away: that of the releases of a drill, which nobody uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightferry.clients.azure.errors import azure_errors
from nightferry.clients.azure.ledger import NOTES, AzureLedger
from nightferry.entities.reason import Reason

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

TRIAL = "-trial"
"""Ends the name of its container, which is the ledger's otherwise."""


def scratch_ledger(service: BlobServiceClient, container: str) -> AzureLedger:
    """The record in `<container>-trial`, empty; its containers are made where they are missing.

    Raises:
        Permanent: (storage_denied: also where this person may not make a container)
        Temporary: (storage_unavailable)
    """
    name = container + TRIAL
    for one in (name, name + NOTES):
        place = service.get_container_client(one)
        with azure_errors(service.primary_hostname, one, missing=Reason.LEDGER_MISSING):
            if not place.exists():
                place.create_container()
            for blob in list(place.list_blobs()):
                place.delete_blob(blob.name)
    return AzureLedger(service, name)
