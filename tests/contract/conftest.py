"""The real parts that the contracts are tested on: those of the sandbox, or what the settings name."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from nightferry import settings
from nightferry.clients import connect
from nightferry.clients.azure import stream as azure_stream
from nightferry.clients.azure.models import AzureModels
from nightferry.clients.mlflow import registry as mlflow_registry
from nightferry.clients.mlflow import server as mlflow_server
from nightferry.clients.s3 import connection as s3_connection
from nightferry.clients.s3 import stream as s3_stream
from nightferry.clients.s3.models import S3Models

from tests.contract.model_benches import AzureBench, S3Bench
from tests.fakes.mlflow.mlflow_bench import MlflowBench
from tests.fakes.mlflow.real_mlflow import running
from tests.fakes.real_s3 import RealS3, real_s3
from tests.fakes.storage_door import door

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient


@pytest.fixture(scope="session")
def blob_service() -> BlobServiceClient:
    return connect.storage(settings.load())


@pytest.fixture
def container(blob_service: BlobServiceClient) -> Iterator[str]:
    """The name of a container of this test's own."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    blob_service.create_container(name)
    yield name
    blob_service.delete_container(name)


@pytest.fixture(scope="session")
def s3_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealS3]:
    """An S3 storage of these tests' own."""
    with real_s3(tmp_path_factory.mktemp("s3") / "objects") as storage:
        yield storage


@pytest.fixture
def bucket(s3_storage: RealS3) -> str:
    """The name of a bucket of this test's own."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3_storage.service().client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def azure_bench(
    blob_service: BlobServiceClient, container: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AzureBench]:
    from azure.storage.blob import BlobServiceClient, ExponentialRetry

    monkeypatch.setattr(azure_stream, "PAUSE", 0)
    retry = ExponentialRetry(initial_backoff=0, increment_base=0, retry_total=2, random_jitter_range=0)
    inner = blob_service.get_container_client(container)
    host = urlsplit(blob_service.url).netloc
    with door(host) as opened:
        url = blob_service.url.replace(host, opened.address)
        service = BlobServiceClient(url, blob_service.credential, retry_policy=retry)
        yield AzureBench(
            opened,
            lambda prefix: AzureModels(service, container, prefix),
            lambda name, content, metadata=None: inner.upload_blob(name, content, overwrite=True, metadata=metadata),
            inner.delete_blob,
        )


@pytest.fixture
def s3_bench(s3_storage: RealS3, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Bench]:
    monkeypatch.setattr(s3_stream, "PAUSE", 0)
    monkeypatch.setattr(s3_connection, "TRIES", 2)
    inner = s3_storage.service().client
    with door(f"127.0.0.1:{s3_storage.port}") as opened:
        service = s3_storage.service(f"http://{opened.address}")
        yield S3Bench(
            opened,
            lambda prefix: S3Models(service, bucket, prefix),
            lambda name, content: inner.put_object(Bucket=bucket, Key=name, Body=content),
            lambda name: inner.delete_object(Bucket=bucket, Key=name),
        )


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of MLflow's own server: the one that the settings name, else one for all tests of a process."""
    if named := settings.load().mlflow_url:
        yield named
        return
    with running(tmp_path_factory.mktemp("mlflow")) as server:
        yield server.url


@pytest.fixture
def mlflow_bench(mlflow: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowBench]:
    monkeypatch.setattr(mlflow_server, "PAUSE", 0)
    monkeypatch.setattr(mlflow_registry, "PAGE", 10)
    with door(urlsplit(mlflow).netloc) as opened:
        yield MlflowBench(mlflow, opened)
