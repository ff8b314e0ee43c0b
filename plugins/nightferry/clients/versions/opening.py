"""Which system an address of models leads to: one place for the command line, the deployer and Airflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nightferry.clients.azure.locks import AzureLocks
from nightferry.clients.azure.models import AzureModels
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.entities.service_spec import ModelSource, ServiceSpec

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

    from nightferry.clients.mlflow.server import MlflowServer
    from nightferry.clients.s3.connection import S3Service

LOCKS = "locks"
"""The container in the record's storage account with the locks of services whose models are elsewhere."""


def open_models(
    source: ModelSource,
    blob: Callable[[], BlobServiceClient],
    s3: Callable[[], S3Service],
    mlflow: Callable[[], MlflowServer],
) -> ModelRepository:
    """The repository of one service's models.

    Args:
        source: where it is.
        blob: opens the storage account; each of them is called for its own scheme alone.
        s3: opens the S3 storage.
        mlflow: opens the MLflow server.

    Raises what the callables raise.
    """
    address = source.address
    if address.scheme == "azure-blob":
        return AzureModels(blob(), address.place, address.within)
    if address.scheme == "s3":
        from nightferry.clients.s3.models import S3Models

        return S3Models(s3(), address.place, address.within)
    from nightferry.clients.mlflow.models import MlflowModels

    return MlflowModels(mlflow(), address.place, address.within)


def open_locks(service: BlobServiceClient, spec: ServiceSpec) -> AzureLocks:
    """The locks of one service's app: beside its models where these are in Blob storage, else in the container
    `locks` of the record's account, under the service's name."""
    address = spec.model.address
    if address.scheme == "azure-blob":
        return AzureLocks(service, address.place, address.within)
    return AzureLocks(service, LOCKS, spec.service)
