"""What every LockStore does."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any, Protocol

import pytest
from nightferry.clients.azure.locks import AzureLocks
from nightferry.clients.azure.models import AzureModels
from nightferry.clients.doors.lock_store import LockStore
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.model_folder import read_manifest

from tests.fakes.memory.memory_locks import MemoryLocks
from tests.fakes.model_versions import write_version

KEY, OTHER = "a" * 64, "b" * 64
WHEEL = "tiny-1.0-py3-none-any.whl"


class Bench(Protocol):
    """A store, and a hand that changes its blobs behind its back."""

    store: LockStore

    def names(self) -> list[str]: ...
    def put(self, name: str, content: bytes) -> None: ...


class MemoryBench:
    def __init__(self) -> None:
        self.store = MemoryLocks()

    def names(self) -> list[str]:
        return sorted(self.store.blobs)

    def put(self, name: str, content: bytes) -> None:
        self.store.blobs[name] = content


class AzureBench:
    def __init__(self, service: Any, container: str) -> None:
        self.store = AzureLocks(service, container, "team/churn")
        self._container = service.get_container_client(container)

    def names(self) -> list[str]:
        return [name.removeprefix("team/churn/.locks/") for name in self._container.list_blob_names()]

    def put(self, name: str, content: bytes) -> None:
        self._container.upload_blob(f"team/churn/.locks/{name}", content, overwrite=True)


@pytest.fixture(params=["memory", pytest.param("azure", marks=pytest.mark.sandbox)])
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "memory":
        return MemoryBench()
    return AzureBench(request.getfixturevalue("blob_service"), request.getfixturevalue("container"))


def made(folder: Path, wheel: bytes = b"built", base: str = "base") -> Path:
    """A folder as the recipe's target `lock` writes it: one kept wheel, and one package of the index."""
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels" / WHEEL).write_bytes(wheel)
    sha256 = hashlib.sha256(wheel).hexdigest()
    kept = {"name": "tiny", "version": "1.0", "file": WHEEL, "sha256": sha256, "kind": "kept"}
    index = {"name": "zebra", "version": "2.0", "file": "zebra-2.0-py3-none-any.whl", "sha256": "0" * 64}
    lock = {"schema": 1, "base_image": base, "python": "3.11", "packages": [kept, index | {"kind": "index"}]}
    (folder / "lock.json").write_text(json.dumps(lock))
    return folder


def test_what_is_kept_comes_back(bench: Bench, tmp_path: Path):
    folder = made(tmp_path / "made")
    assert bench.store.newest(KEY) is None
    assert bench.store.read(KEY, 1) is None
    assert bench.store.create(KEY, 1, folder)
    content = (folder / "lock.json").read_bytes()
    assert bench.store.newest(KEY) == (1, content)
    assert bench.store.read(KEY, 1) == content
    (tmp_path / "got").mkdir()
    bench.store.fetch(KEY, 1, tmp_path / "got")
    assert (tmp_path / "got" / "lock.json").read_bytes() == content
    assert [path.name for path in (tmp_path / "got" / "wheels").iterdir()] == [WHEEL]
    assert (tmp_path / "got" / "wheels" / WHEEL).read_bytes() == b"built"


def test_the_newest_is_the_highest_number_of_these_requirements(bench: Bench, tmp_path: Path):
    for number in (1, 2, 10):
        assert bench.store.create(KEY, number, made(tmp_path / str(number), base=str(number)))
    bench.store.create(OTHER, 11, made(tmp_path / "other"))
    found = bench.store.newest(KEY)
    assert found is not None
    assert (found[0], json.loads(found[1])["base_image"]) == (10, "10")


def test_whoever_comes_second_changes_nothing(bench: Bench, tmp_path: Path):
    """Even the wheels: another build of the same source distribution may have other bytes."""
    first, second = made(tmp_path / "first"), made(tmp_path / "second", wheel=b"built otherwise")
    assert bench.store.create(KEY, 1, first)
    assert not bench.store.create(KEY, 1, second)
    (tmp_path / "got").mkdir()
    bench.store.fetch(KEY, 1, tmp_path / "got")
    assert (tmp_path / "got" / "lock.json").read_bytes() == (first / "lock.json").read_bytes()
    assert (tmp_path / "got" / "wheels" / WHEEL).read_bytes() == b"built"


def test_of_many_at_the_same_moment_one_is_first(bench: Bench, tmp_path: Path):
    folders = [made(tmp_path / str(number), wheel=f"built by {number}".encode()) for number in range(6)]
    told: dict[int, bool] = {}
    start = threading.Barrier(len(folders))

    def create(number: int) -> None:
        start.wait()
        told[number] = bench.store.create(KEY, 1, folders[number])

    threads = [threading.Thread(target=create, args=(number,)) for number in range(len(folders))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for number, first in told.items() if first]
    assert len(winners) == 1
    (tmp_path / "got").mkdir()
    bench.store.fetch(KEY, 1, tmp_path / "got")
    assert (tmp_path / "got" / "wheels" / WHEEL).read_bytes() == f"built by {winners[0]}".encode()


def test_what_was_killed_before_its_end_is_no_lock_and_is_finished_by_the_next(bench: Bench, tmp_path: Path):
    folder = made(tmp_path / "made")
    (folder / "lock.json").rename(tmp_path / "later")
    with pytest.raises(FileNotFoundError):
        bench.store.create(KEY, 1, folder)
    assert bench.names()  # the wheel is there
    assert bench.store.newest(KEY) is None
    (tmp_path / "later").rename(folder / "lock.json")
    assert bench.store.create(KEY, 1, folder)
    assert bench.store.create(KEY, 1, folder)  # the same once more: an answer may be lost on its way


def test_a_lock_that_is_not_there_cannot_be_fetched(bench: Bench, tmp_path: Path):
    with pytest.raises(Permanent) as failure:
        bench.store.fetch(KEY, 1, tmp_path)
    assert failure.value.reason is Reason.LOCK_MISSING
    assert not (tmp_path / "lock.json").exists()


def test_a_wheel_that_is_another_one_by_now_is_not_installed(bench: Bench, tmp_path: Path):
    bench.store.create(KEY, 1, made(tmp_path / "made"))
    (name,) = [name for name in bench.names() if name.endswith(WHEEL)]
    bench.put(name, b"changed")
    (tmp_path / "got").mkdir()
    with pytest.raises(Permanent) as failure:
        bench.store.fetch(KEY, 1, tmp_path / "got")
    assert failure.value.reason is Reason.LOCK_MISSING
    assert not list((tmp_path / "got" / "wheels").iterdir())
    assert not (tmp_path / "got" / "lock.json").exists()


@pytest.mark.sandbox
def test_locks_are_no_models(blob_service: Any, container: str, tmp_path: Path):
    models, locks = AzureModels(blob_service, container, "churn"), AzureLocks(blob_service, container, "churn")
    locks.create(KEY, 1, made(tmp_path / "made"))
    assert list(models.listings()) == []
    place = write_version(tmp_path, "v1", {"model.onnx": b"weights"})
    models.publish(place, *read_manifest(place))
    assert [listing.version for listing in models.listings()] == ["v1"]
    assert locks.newest(KEY) is not None


@pytest.mark.sandbox
def test_a_container_that_is_not_there_is_said(blob_service: Any, tmp_path: Path):
    store = AzureLocks(blob_service, "test-nowhere", "churn")
    for call in (lambda: store.newest(KEY), lambda: store.read(KEY, 1), lambda: store.fetch(KEY, 1, tmp_path)):
        with pytest.raises(Permanent) as failure:
            call()
        assert failure.value.reason is Reason.MODEL_REPOSITORY_MISSING
