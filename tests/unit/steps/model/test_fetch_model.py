"""A fetched model is complete and verified, or not there at all."""

from __future__ import annotations

import json
import multiprocessing
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from nightferry.entities.model_version import MANIFEST, PinnedModel
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.steps.model import fetch_model as fetching
from nightferry.steps.model.fetch_model import fetch_model
from nightferry.steps.model.model_folder import read_manifest

from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.model_versions import manifest_of, write_version

FILES = {"model.onnx": b"weights" * 1000, "golden/0.bin": b"zero"}


@pytest.fixture
def models(tmp_path: Path) -> MemoryModels:
    repository = MemoryModels()
    publish(repository, tmp_path, "v1")
    return repository


def publish(models: MemoryModels, tmp_path: Path, version: str, files: dict[str, bytes] = FILES) -> PinnedModel:
    place = write_version(tmp_path / "published", version, files)
    models.publish(place, *read_manifest(place))
    return models.pin(version)[0]


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_the_folder_holds_the_version(models: MemoryModels, tmp_path: Path):
    pinned = models.pin("v1")[0]
    moved: list[int] = []
    folder = fetch_model(pinned, models, tmp_path / "work", moved.append)
    assert folder == tmp_path / "work" / "models" / "digits" / f"v1-{pinned.sha256[:12]}"
    assert set(files_below(folder)) == {MANIFEST, *FILES}
    assert (folder / "model.onnx").read_bytes() == FILES["model.onnx"]
    assert sum(moved) == pinned.size + len(models.blobs[f"v1/{MANIFEST}"])


def test_fetching_again_downloads_nothing(models: MemoryModels, tmp_path: Path):
    pinned = models.pin("v1")[0]
    folder = fetch_model(pinned, models, tmp_path / "work")
    models.downloads.clear()
    assert fetch_model(pinned, models, tmp_path / "work") == folder
    assert models.downloads == []


@pytest.mark.parametrize("spoil", ["change", "remove", "manifest"])
def test_a_folder_that_was_spoilt_is_fetched_again(models: MemoryModels, tmp_path: Path, spoil: str):
    pinned = models.pin("v1")[0]
    folder = fetch_model(pinned, models, tmp_path / "work")
    if spoil == "change":
        (folder / "golden/0.bin").write_bytes(b"ZERO")
    elif spoil == "remove":
        (folder / "model.onnx").unlink()
    else:
        (folder / MANIFEST).write_text(json.dumps(manifest_of(FILES, "v1", author="eva")))
    fetch_model(pinned, models, tmp_path / "work")
    assert files_below(folder)["golden/0.bin"] == b"zero"
    assert files_below(folder)["model.onnx"] == FILES["model.onnx"]
    assert files_below(folder)[MANIFEST] == models.blobs[f"v1/{MANIFEST}"]


def test_what_a_kill_left_behind_is_replaced(models: MemoryModels, tmp_path: Path):
    pinned = models.pin("v1")[0]
    left = tmp_path / "work" / "models" / f".v1-{pinned.sha256[:12]}.part"
    left.mkdir(parents=True)
    (left / "model.onnx").write_bytes(b"half")
    (left / "other").write_bytes(b"x")
    folder = fetch_model(pinned, models, tmp_path / "work")
    assert set(files_below(folder)) == {MANIFEST, *FILES}
    assert not left.exists()


def failure_of(models: MemoryModels, pinned: PinnedModel, work: Path) -> NightferryError:
    with pytest.raises(NightferryError) as failure:
        fetch_model(pinned, models, work)
    assert files_below(work) == {}
    return failure.value


def test_a_wrong_sha256(models: MemoryModels, tmp_path: Path):
    """The blob has the listed size, but never had the listed content."""
    models.blobs["v1/golden/0.bin"] = b"ZERO"
    failure = failure_of(models, models.pin("v1")[0], tmp_path / "work")
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.MODEL_CHECKSUM_WRONG
    assert "golden/0.bin" in failure.sentence


@pytest.mark.parametrize("name", [MANIFEST, "model.onnx"])
def test_a_blob_overwritten_after_the_decision(models: MemoryModels, tmp_path: Path, name: str):
    pinned = models.pin("v1")[0]
    models.blobs[f"v1/{name}"] = models.blobs[f"v1/{name}"].replace(b"e", b"E")
    failure = failure_of(models, pinned, tmp_path / "work")
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.MODEL_OVERWRITTEN


def test_a_manifest_that_is_not_the_pinned_one(models: MemoryModels, tmp_path: Path):
    """Even where ETags say nothing, the identity does."""
    pinned = models.pin("v1")[0].model_copy(update={"sha256": "0" * 64})
    assert failure_of(models, pinned, tmp_path / "work").reason == Reason.MODEL_OVERWRITTEN


def test_storage_down(models: MemoryModels, tmp_path: Path):
    pinned = models.pin("v1")[0]
    models.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "Blob is down.")
    assert failure_of(models, pinned, tmp_path / "work") is models.fault


def _fetch_on_small_disk(models: MemoryModels, pinned: PinnedModel, work: Path, answer: Any) -> None:
    """The kernel refuses to let a file grow beyond 4 KB: the same way in which a write fails on a full disk."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        fetch_model(pinned, models, work)
    except NightferryError as failure:
        answer.put((type(failure).__name__, failure.reason, failure.sentence))
    else:
        answer.put(None)


def test_a_disk_that_fills_up(models: MemoryModels, tmp_path: Path):
    pinned, work = models.pin("v1")[0], tmp_path / "work"
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    child = context.Process(target=_fetch_on_small_disk, args=(models, pinned, work, answer))
    child.start()
    child.join(60)
    kind, reason, sentence = answer.get()
    assert (kind, reason) == ("Permanent", Reason.DISK_FULL)
    assert str(work) in sentence
    assert files_below(work) == {}
    assert fetch_model(pinned, models, work).is_dir()


def test_a_disk_that_is_too_small_from_the_start(models: MemoryModels, tmp_path: Path):
    """Not one byte is downloaded."""
    pinned = models.pin("v1")[0].model_copy(update={"size": 10**18})
    failure = failure_of(models, pinned, tmp_path / "work")
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.DISK_FULL
    assert models.downloads == []


def test_two_at_once_fetch_once(models: MemoryModels, tmp_path: Path):
    pinned = models.pin("v1")[0]
    both = threading.Barrier(2)

    def fetch(_: int) -> Path:
        both.wait()
        return fetch_model(pinned, models, tmp_path / "work")

    with ThreadPoolExecutor(2) as pool:
        folders = set(pool.map(fetch, range(2)))
    assert len(folders) == 1
    assert sorted(models.downloads) == sorted([MANIFEST, *FILES])


def test_old_versions_go_when_they_have_rested(models: MemoryModels, tmp_path: Path):
    import os

    work, day = tmp_path / "work", 24 * 3600
    folders = []
    for number in range(fetching.KEPT + 3):
        folder = fetch_model(publish(models, tmp_path, f"n{number}"), models, work)
        folders.append(folder)
        # The first two rest for days, the others are of today.
        past = folder.stat().st_mtime - (5 - number) * day * (number < 2)
        os.utime(folder, (past, past))
    fetch_model(publish(models, tmp_path, "last"), models, work)
    assert [folder.exists() for folder in folders] == [False, False] + [True] * (len(folders) - 2)
