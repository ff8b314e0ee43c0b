"""What every CursorStore does."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from nightferry.clients.azure.cursors import AzureCursors
from nightferry.clients.azure.ledger import NOTES
from nightferry.clients.doors.cursor_store import CursorStore
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

from tests.fakes.memory.memory_cursors import MemoryCursors

NAME = "watch/0123456789abcdef.json"


@pytest.fixture(params=["memory", pytest.param("azure", marks=pytest.mark.sandbox)])
def store(request: pytest.FixtureRequest) -> Iterator[CursorStore]:
    if request.param == "memory":
        yield MemoryCursors()
        return
    blobs, name = request.getfixturevalue("blob_service"), f"test-{uuid.uuid4().hex[:12]}"
    blobs.create_container(name + NOTES)
    yield AzureCursors(blobs, name)
    blobs.delete_container(name + NOTES)


def test_what_is_not_there_is_made_once(store: CursorStore) -> None:
    assert store.recall(NAME) is None
    assert store.replace(NAME, b"one", None)
    assert not store.replace(NAME, b"two", None)
    note = store.recall(NAME)
    assert note is not None
    assert note.content == b"one"


def test_what_somebody_else_wrote_meanwhile_stays(store: CursorStore) -> None:
    store.replace(NAME, b"one", None)
    note = store.recall(NAME)
    assert note is not None
    assert store.replace(NAME, b"two", note.version)
    assert not store.replace(NAME, b"three", note.version)
    again = store.recall(NAME)
    assert again is not None
    assert again.content == b"two"
    assert again.version != note.version


def test_a_version_of_what_is_gone_writes_nothing(store: CursorStore) -> None:
    assert not store.replace(NAME, b"one", '"0x8DE0000000000000"')
    assert store.recall(NAME) is None


def test_of_many_writers_one_wins(store: CursorStore) -> None:
    store.replace(NAME, b"", None)
    note = store.recall(NAME)
    assert note is not None
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: store.replace(NAME, b"%d" % number, note.version), range(8)))
    assert won.count(True) == 1


@pytest.mark.sandbox
def test_a_container_that_is_missing_is_said_and_never_made(blob_service) -> None:  # type: ignore[no-untyped-def]
    store = AzureCursors(blob_service, f"test-{uuid.uuid4().hex[:12]}")
    for call in (lambda: store.recall(NAME), lambda: store.replace(NAME, b"", None)):
        with pytest.raises(Permanent) as failure:
            call()
        assert failure.value.reason == Reason.LEDGER_MISSING
