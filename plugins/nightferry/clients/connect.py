"""Make the clients from the settings: for the command line and the deployer, where Airflow's connections are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightferry.clients.azure.ledger import AzureLedger
from nightferry.clients.azure.locks import AzureLocks
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.cluster import Cluster
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.clients.doors.source_repository import SourceRepository
from nightferry.clients.git.source import GitSource
from nightferry.clients.kube.connection import open_cluster
from nightferry.clients.patient_cluster import PatientCluster
from nightferry.clients.stock_source import StockSource
from nightferry.clients.versions.opening import open_locks, open_models
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import CLUSTER, ModelSource, ServiceSpec, Source
from nightferry.errors import Permanent
from nightferry.settings import Settings

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueServiceClient

    from nightferry.clients.azure.queue import AzureEventQueue
    from nightferry.clients.buildkit.builder import BuildKit
    from nightferry.clients.docker_engine.runner import DockerRunner
    from nightferry.clients.mlflow.server import MlflowServer
    from nightferry.clients.registry.oci import OciRegistry
    from nightferry.clients.s3.connection import S3Service


def storage(settings: Settings) -> BlobServiceClient:
    """The storage account: with the connection string of NIGHTFERRY_STORAGE_CONNECTION_FILE, else
    NIGHTFERRY_STORAGE_URL with the identity that the machine or the pod has (DefaultAzureCredential).

    Raises:
        Permanent: (setting_missing) neither is given; (storage_denied) the file holds no connection string.
    """
    from azure.storage.blob import BlobServiceClient

    file = settings.storage_connection_file
    if file:
        try:
            return BlobServiceClient.from_connection_string(_connection_string(file), **storage_options())
        except ValueError as fault:
            raise Permanent(
                Reason.STORAGE_DENIED, f"{file} does not hold the connection string of a storage account."
            ) from fault
    url = settings.require("STORAGE_URL")
    if not url.startswith("https://"):
        raise Permanent(
            Reason.SETTING_MISSING,
            f"NIGHTFERRY_STORAGE_URL is {url}: without TLS an identity is not sent; use https://, or give "
            "NIGHTFERRY_STORAGE_CONNECTION_FILE.",
        )
    from azure.identity import DefaultAzureCredential

    return BlobServiceClient(url, DefaultAzureCredential(), **storage_options())


def storage_options() -> dict[str, Any]:
    """How long the SDK tries by itself: three times more, some two seconds apart. Airflow's own retries wait longer,
    and are seen."""
    from azure.storage.blob import ExponentialRetry

    retry = ExponentialRetry(initial_backoff=1, increment_base=1, retry_total=3, random_jitter_range=1)
    return {"retry_policy": retry, "connection_timeout": 5, "read_timeout": 60}


def s3(settings: Settings) -> S3Service:
    """The S3 storage: NIGHTFERRY_S3_URL or Amazon's own, with the key of NIGHTFERRY_S3_KEY_FILE, else as the identity
    that the machine or the pod has. Raises as `open_s3` and `read_key`."""
    from nightferry.clients.s3.connection import open_s3, read_key

    key = read_key(settings.s3_key_file) if settings.s3_key_file else None
    return open_s3(settings.s3_url, settings.s3_region, key)


def queue_service(connection_string: str | None, blob_url: str, credential: Any) -> QueueServiceClient:
    """The queues of a storage account whose blobs are known: by its connection string, else beside its blobs."""
    from azure.storage.queue import ExponentialRetry, QueueServiceClient

    retry = ExponentialRetry(initial_backoff=1, increment_base=1, retry_total=2, random_jitter_range=1)
    options: dict[str, Any] = {"retry_policy": retry, "connection_timeout": 5, "read_timeout": 20}
    if connection_string:
        return QueueServiceClient.from_connection_string(connection_string, **options)
    return QueueServiceClient(blob_url.replace(".blob.", ".queue.", 1), credential, **options)


def events(settings: Settings) -> AzureEventQueue | None:
    """The queue of events that NIGHTFERRY_EVENTS_QUEUE names; None where it names none. Raises as `storage`."""
    if not settings.events_queue:
        return None
    from nightferry.clients.azure.queue import AzureEventQueue

    file, blobs = settings.storage_connection_file, storage(settings)
    service = queue_service(_connection_string(file) if file else None, blobs.url, blobs.credential)
    return AzureEventQueue(service, settings.events_queue)


def mlflow(settings: Settings) -> MlflowServer:
    """The MLflow server of NIGHTFERRY_MLFLOW_URL, with the login of the files that the settings name.

    Raises:
        Permanent: (setting_missing) no server is named; and as `read_login` and `MlflowServer`.
    """
    from nightferry.clients.mlflow.login import read_login
    from nightferry.clients.mlflow.server import MlflowServer

    login = read_login(settings.mlflow_token_file, settings.mlflow_user, settings.mlflow_password_file)
    return MlflowServer(settings.require("MLFLOW_URL"), login)


def models(settings: Settings, source: ModelSource) -> ModelRepository:
    """The repository of one service's models, by the scheme of its address. Raises as `storage`, `s3` and `mlflow`."""
    return open_models(source, lambda: storage(settings), lambda: s3(settings), lambda: mlflow(settings))


def locks(settings: Settings, spec: ServiceSpec) -> AzureLocks:
    """The locks of one service's app. Raises as `storage`."""
    return open_locks(storage(settings), spec)


def ledger_store(settings: Settings) -> AzureLedger:
    """The ledger. Raises as `storage`."""
    return AzureLedger(storage(settings), settings.ledger)


def source(settings: Settings, source: Source | None) -> SourceRepository:
    """The repository of a service's code; none: the stock service that is installed with these settings."""
    if source is None:
        return StockSource(settings.root)
    return GitSource(source.repository, settings.work, settings.root, settings.git_seconds)


def cluster(
    settings: Settings, namespace: str, connection: str = CLUSTER, guard: Callable[[Cluster], Cluster] | None = None
) -> PatientCluster:
    """A namespace of the cluster that Airflow knows by a connection, asked again while it is away for a moment.

    Args:
        guard: put around the cluster, within the patience, so that it sees each try of a call.

    Raises as `open_cluster`.
    """
    opened: Cluster = open_cluster(settings, namespace, connection)
    return PatientCluster(guard(opened) if guard else opened, SystemClock())


def registry(settings: Settings) -> OciRegistry:
    """The image registries, with the credentials of NIGHTFERRY_REGISTRY_AUTH_FILE where it is given."""
    from nightferry.clients.registry.oci import OciRegistry

    return OciRegistry(settings.registry_auth_file)


def builder(settings: Settings) -> BuildKit:
    """BuildKit. Raises Permanent (setting_missing)."""
    from nightferry.clients.buildkit.builder import BuildKit

    return BuildKit(
        settings.buildctl,
        settings.require("BUILDKIT"),
        auth_file=settings.registry_auth_file,
        tls_folder=settings.buildkit_tls,
    )


def container_runner(settings: Settings) -> DockerRunner:
    """The Docker engine. Raises Permanent (docker_unavailable: it refuses) and Temporary (docker_unavailable)."""
    from nightferry.clients.docker_engine.runner import DockerRunner, connect_docker

    return DockerRunner(connect_docker(settings.docker_host))


def _connection_string(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise Permanent(
            Reason.SETTING_MISSING,
            f"NIGHTFERRY_STORAGE_CONNECTION_FILE names {file}, which cannot be read; "
            "start the sandbox with `nightferry up`, or correct it.",
        ) from fault
