"""A file that is downloaded is whole and right, or not there; and nothing of the download goes on after it."""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nightferry.clients.azure import stream as azure_stream
from nightferry.clients.azure.stream import PIECE
from nightferry.clients.versions.writing import hashing_file
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

from tests.fakes.http_blobs import HttpBlobs, serving

DATA = random.Random(1).randbytes(6 * PIECE + 7)
PINNED = PinnedModel(
    version="v1", sha256="0" * 64, created="2026-11-21T00:00:00Z", size=len(DATA), etags={"model.onnx": '"0x1"'}
)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_stream, "PAUSE", 0)


@pytest.fixture
def server() -> Iterator[HttpBlobs]:
    with serving(DATA) as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "got").mkdir()
    return tmp_path / "got" / "model.onnx"


def writers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("write-model")]


def full_disk_at(target: Path) -> None:
    """What is written beside `target` until it is whole goes to a device without room."""
    target.with_name(f".{target.name}.part").symlink_to("/dev/full")


def test_the_file_is_the_blob(server: HttpBlobs, target: Path):
    moved: list[int] = []
    sha256 = server.models(target.parents[1]).download(PINNED, "model.onnx", target, moved.append)
    assert sha256 == hashlib.sha256(DATA).hexdigest()
    assert target.read_bytes() == DATA
    assert list(target.parent.iterdir()) == [target]
    assert sum(moved) == len(DATA)
    assert server.offsets == [0]
    assert writers() == []


def test_broken_connections_are_gone_on_from(server: HttpBlobs, target: Path):
    server.breaks = [2 * PIECE, 7, PIECE + 1, len(DATA)]
    moved: list[int] = []
    sha256 = server.models(target.parents[1]).download(PINNED, "model.onnx", target, moved.append)
    assert (sha256, target.read_bytes()) == (hashlib.sha256(DATA).hexdigest(), DATA)
    # Not a byte of what had come is asked for again.
    assert server.offsets == [0, 2 * PIECE, 2 * PIECE + 7, 3 * PIECE + 8]
    assert sum(moved) == len(DATA)


Fault = Callable[[HttpBlobs, Path], None]


def breaking(server: HttpBlobs, target: Path) -> None:
    server.breaks = [2 * PIECE, 0]


def overwritten_before(server: HttpBlobs, target: Path) -> None:
    server.etag = '"0x2"'


def full(server: HttpBlobs, target: Path) -> None:
    full_disk_at(target)


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        (breaking, Temporary, Reason.STORAGE_UNAVAILABLE),
        (overwritten_before, Permanent, Reason.MODEL_OVERWRITTEN),
        (full, Permanent, Reason.DISK_FULL),
    ],
)
def test_a_failure_leaves_no_file_and_no_thread(
    server: HttpBlobs, target: Path, fault: Fault, kind: type[NightferryError], reason: Reason
):
    fault(server, target)
    with pytest.raises(NightferryError) as failure:
        server.models(target.parents[1]).download(PINNED, "model.onnx", target)
    assert (type(failure.value), failure.value.reason) == (kind, reason)
    assert list(target.parent.iterdir()) == []
    assert writers() == []


def test_overwritten_while_it_is_read(server: HttpBlobs, target: Path):
    """The stream that had begun ends as it began, with the old content."""

    def overwrite(_: int) -> None:
        server.etag = '"0x2"'

    with pytest.raises(Permanent) as failure:
        server.models(target.parents[1]).download(PINNED, "model.onnx", target, overwrite)
    assert failure.value.reason == Reason.MODEL_OVERWRITTEN
    assert list(target.parent.iterdir()) == []


class Cancelled(BaseException):
    """What a signal's handler raises in the midst of the download."""


def test_cancelling_leaves_no_file_and_no_thread(server: HttpBlobs, target: Path):
    seen: list[list[str]] = []

    def cancel(_: int) -> None:
        seen.append(writers())
        if len(seen) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        server.models(target.parents[1]).download(PINNED, "model.onnx", target, cancel)
    # The thread was there, so that its absence tells something.
    assert len(seen[-1]) == 1
    assert writers() == []
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_ends_the_download_at_the_next_piece(server: HttpBlobs, target: Path):
    full_disk_at(target)
    moved: list[int] = []
    with pytest.raises(Permanent):
        server.models(target.parents[1]).download(PINNED, "model.onnx", target, moved.append)
    assert moved == [PIECE]


def test_a_last_piece_that_cannot_be_written_is_a_failure(target: Path):
    full_disk_at(target)
    handed_over = threading.Event()

    def write() -> None:
        with hashing_file(target) as (sink, _):
            # This alone tells nothing of the disk: the piece is written beside.
            sink(b"the only piece")
            handed_over.set()

    with pytest.raises(OSError, match="No space left"):
        write()
    assert handed_over.is_set()
    assert list(target.parent.iterdir()) == []


def test_an_unfinished_file_leaves_nothing(target: Path):
    def write() -> None:
        with hashing_file(target) as (sink, _):
            sink(b"half")
            assert not target.exists()
            raise ConnectionError

    with pytest.raises(ConnectionError):
        write()
    assert list(target.parent.iterdir()) == []


def test_killed_in_the_midst(server: HttpBlobs, target: Path):
    """What stays has another name, and the next download replaces it."""
    server.holds = 3 * PIECE
    models = server.models(target.parents[1])
    child = multiprocessing.get_context("fork").Process(target=models.download, args=(PINNED, "model.onnx", target))
    child.start()
    assert server.holding.wait(60)
    child.kill()
    child.join(60)
    assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == [".model.onnx.part"]
    server.holds = None
    server.go_on.set()
    assert models.download(PINNED, "model.onnx", target) == hashlib.sha256(DATA).hexdigest()
    assert list(target.parent.iterdir()) == [target]
