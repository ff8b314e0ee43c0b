"""Models and the ledger, through an Airflow connection of type `wasb` (Azure Blob storage)."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.sdk import BaseHook

from nightferry import settings
from nightferry.clients.doors.cursor_store import CursorStore
from nightferry.clients.doors.event_queue import EventQueue
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.clients.doors.lock_store import LockStore
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.entities.service_spec import ModelSource, ServiceSpec
from nightferry.hooks.connections import connection
from nightferry.hooks.mlflow_server import MlflowHook
from nightferry.hooks.s3 import S3Hook

STORAGE = "nightferry_storage"


class StorageHook(BaseHook):
    """Makes the clients of what is kept in Blob storage; the provider's WasbHook logs in."""

    conn_name_attr = "storage_conn_id"
    default_conn_name = STORAGE
    conn_type = "wasb"
    hook_name = "Nightferry storage"

    def __init__(self, storage_conn_id: str = STORAGE) -> None:
        super().__init__()
        self.storage_conn_id = storage_conn_id

    @cached_property
    def service_client(self) -> Any:
        """The Blob service's client.

        Raises:
            Permanent: (setting_missing) there is no such connection.
        """
        from airflow.providers.microsoft.azure.hooks.wasb import WasbHook
        from azure.storage.blob import BlobServiceClient

        from nightferry.clients.connect import storage_options

        connection(self.storage_conn_id)
        client = WasbHook(wasb_conn_id=self.storage_conn_id).blob_service_client
        # The same login, but our patience: the SDK's own retries would hide an outage for minutes.
        return BlobServiceClient(client.url, credential=client.credential, **storage_options())

    def models(self, source: ModelSource) -> ModelRepository:
        """The repository of one service's models, by the scheme of its address: those that are not in Blob storage have
        a connection of their own. Raises as `service_client`, `S3Hook.service` and `MlflowHook.server`."""
        from nightferry.clients.versions.opening import open_models

        return open_models(
            source, lambda: self.service_client, lambda: S3Hook().service(), lambda: MlflowHook().server()
        )

    def locks(self, spec: ServiceSpec) -> LockStore:
        """The locks of one service's app. Raises as `service_client`."""
        from nightferry.clients.versions.opening import open_locks

        return open_locks(self.service_client, spec)

    def ledger_store(self) -> LedgerStore:
        """Where the ledger is kept. Raises as `service_client`."""
        from nightferry.clients.azure.ledger import AzureLedger

        return AzureLedger(self.service_client, settings.load().ledger)

    def cursors(self) -> CursorStore:
        """What the watch remembers, beside the ledger. Raises as `service_client`."""
        from nightferry.clients.azure.cursors import AzureCursors

        return AzureCursors(self.service_client, settings.load().ledger)

    def events(self, queue: str) -> EventQueue:
        """A queue of the same account, which its events come through. Raises as `service_client`."""
        from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

        from nightferry.clients.azure.queue import AzureEventQueue
        from nightferry.clients.connect import queue_service

        connection(self.storage_conn_id)
        found = connection(self.storage_conn_id).extra_dejson.get("connection_string")
        client = WasbHook(wasb_conn_id=self.storage_conn_id).blob_service_client
        return AzureEventQueue(queue_service(found, client.url, client.credential), queue)
