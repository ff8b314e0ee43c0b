"""What can go wrong between the project and a real storage account."""

from __future__ import annotations

import base64
import hashlib
import multiprocessing
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ServiceResponseError
from nightferry import settings
from nightferry.clients import connect
from nightferry.clients.azure import stream as azure_stream
from nightferry.clients.azure.ledger import AzureLedger
from nightferry.clients.azure.models import AzureModels
from nightferry.clients.azure.stream import PIECE
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.model.fetch_model import fetch_model
from nightferry.steps.model.model_folder import read_manifest

from tests.fakes.model_versions import write_version

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

pytestmark = pytest.mark.sandbox
LARGE = 300 * 10**6


def publish(models: AzureModels, folder: Path, files: dict[str, bytes]) -> PinnedModel:
    place = write_version(folder, "v1", files)
    models.publish(place, *read_manifest(place))
    return models.pin("v1")[0]


@pytest.fixture
def models(blob_service: BlobServiceClient, container: str) -> AzureModels:
    return AzureModels(blob_service, container, "digits")


@pytest.fixture
def stranger(blob_service: BlobServiceClient) -> Iterator[BlobServiceClient]:
    """A client of the same account with a key that is not the account's."""
    from azure.storage.blob import BlobServiceClient

    wrong = {"account_name": blob_service.account_name, "account_key": base64.b64encode(b"wrong" * 8).decode()}
    with BlobServiceClient(blob_service.url, wrong) as client:
        yield client


def failure_of(call: Any, *arguments: Any) -> NightferryError:
    with pytest.raises(NightferryError) as failure:
        call(*arguments)
    return failure.value


def test_credentials_that_are_refused(stranger: BlobServiceClient, container: str, models: AzureModels, tmp_path: Path):
    pinned = publish(models, tmp_path, {"model.onnx": b"weights"})
    theirs, ledger = AzureModels(stranger, container, "digits"), AzureLedger(stranger, container)
    for failure in (
        failure_of(theirs.listings),
        failure_of(theirs.pin, "v1"),
        failure_of(theirs.download, pinned, "model.onnx", tmp_path / "target"),
        failure_of(ledger.names, "digits"),
        failure_of(ledger.create, "digits/000000000001.json", b"{}"),
    ):
        assert (type(failure), failure.reason) == (Permanent, Reason.STORAGE_DENIED)
    assert not list(tmp_path.glob("*target*"))


def test_a_container_that_is_missing(blob_service: BlobServiceClient, tmp_path: Path):
    models = AzureModels(blob_service, "no-such-container", "digits")
    place = write_version(tmp_path)
    for failure in (
        failure_of(models.listings),
        failure_of(models.pin, None),
        failure_of(models.publish, place, *read_manifest(place)),
    ):
        assert (type(failure), failure.reason) == (Permanent, Reason.MODEL_REPOSITORY_MISSING)
        assert "no-such-container" in failure.sentence


def test_a_blob_that_is_overwritten_while_it_is_read(
    blob_service: BlobServiceClient, container: str, models: AzureModels, tmp_path: Path
):
    """When the first bytes have arrived, the blob becomes another one."""
    size = 12 * PIECE
    pinned = publish(models, tmp_path, {"model.onnx": random.Random(1).randbytes(size)})
    blob = blob_service.get_blob_client(container, "digits/v1/model.onnx")
    other = random.Random(2).randbytes(size)
    moved: list[int] = []

    def overwrite_once(count: int) -> None:
        if sum(moved) < PIECE <= sum(moved) + count:
            blob.upload_blob(other, overwrite=True)
        moved.append(count)

    failure = failure_of(fetch_model, pinned, models, tmp_path / "work", overwrite_once)
    assert (type(failure), failure.reason) == (Permanent, Reason.MODEL_OVERWRITTEN)
    assert not [path for path in (tmp_path / "work").rglob("*") if path.is_file() and path.suffix != ".lock"]


def _memory(what: str) -> int:
    found = re.search(rf"^{what}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def test_a_connection_that_breaks(models: AzureModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The download goes on where it stopped, with the same condition."""
    data = random.Random(1).randbytes(12 * PIECE + 7)
    pinned = publish(models, tmp_path, {"model.onnx": data})
    get, offsets = azure_stream._get, []

    def breaking(client: Any, blob: Any, etag: str, offset: int) -> Iterator[bytes]:
        offsets.append(offset)
        for number, piece in enumerate(get(client, blob, etag, offset)):
            if number == 3 and len(offsets) < 4:
                raise ServiceResponseError("the connection broke")
            yield piece

    monkeypatch.setattr(azure_stream, "_get", breaking)
    monkeypatch.setattr(azure_stream, "PAUSE", 0)
    sha256 = models.download(pinned, "model.onnx", tmp_path / "got")
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert (tmp_path / "got").read_bytes() == data
    assert offsets == sorted(set(offsets))
    assert len(offsets) == 4


def test_a_large_model_is_streamed(blob_service: BlobServiceClient, container: str, tmp_path: Path):
    """The peak of the fetching process stays where it is for any size: a few pieces."""
    folder, digest = tmp_path / "v1", hashlib.sha256()
    write_version(tmp_path, "v1", {"model.onnx": b""})
    with (folder / "model.onnx").open("wb") as stream:
        for _ in range(LARGE // 10**6):
            piece = os.urandom(10**6)
            digest.update(piece)
            stream.write(piece)
    manifest = (folder / "model.json").read_text()
    empty = hashlib.sha256(b"").hexdigest()
    (folder / "model.json").write_text(
        manifest.replace('"size": 0', f'"size": {LARGE}').replace(empty, digest.hexdigest())
    )
    AzureModels(blob_service, container, "digits").publish(folder, *read_manifest(folder))
    (folder / "model.onnx").unlink()
    # spawn, not fork: what this process has in memory is not the child's.
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    child = context.Process(target=_fetch, args=(container, tmp_path / "work", answer))
    child.start()
    peak, size = answer.get(timeout=300)
    child.join(60)
    assert size == LARGE
    assert peak < 50e6, f"{peak / 1e6:.0f} MB over idle"


def _fetch(container: str, work: Path, answer: Any) -> None:
    models = AzureModels(connect.storage(settings.load()), container, "digits")
    pinned, _ = models.pin("v1")
    idle = _memory("VmRSS")
    # Forget the peak of the imports.
    Path("/proc/self/clear_refs").write_text("5")
    folder = fetch_model(pinned, models, work)
    answer.put((_memory("VmHWM") - idle, (folder / "model.onnx").stat().st_size))
