"""What every LedgerStore does."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from azure.core.exceptions import ResourceNotFoundError
from nightferry.clients.azure.ledger import NOTES, AzureLedger
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

from benchmarks.file_ledger import FileLedger
from tests.fakes.memory.memory_ledger import MemoryLedger


@pytest.fixture(params=["memory", "files", pytest.param("azure", marks=pytest.mark.sandbox)])
def store(request: pytest.FixtureRequest) -> Iterator[LedgerStore]:
    if request.param == "memory":
        yield MemoryLedger()
    elif request.param == "files":
        yield FileLedger(request.getfixturevalue("tmp_path") / "ledger")
    else:
        blobs, container = request.getfixturevalue("blob_service"), request.getfixturevalue("container")
        blobs.create_container(container + NOTES)
        yield AzureLedger(blobs, container)
        with suppress(ResourceNotFoundError):
            blobs.delete_container(container + NOTES)


def test_an_entry_is_read_as_it_was_written(store: LedgerStore):
    assert store.create("digits/000000000001.json", b'{"caf\xc3\xa9":1}')
    assert store.read("digits/000000000001.json") == b'{"caf\xc3\xa9":1}'


def test_an_entry_is_created_once(store: LedgerStore):
    assert store.create("digits/000000000001.json", b"first") is True
    assert store.create("digits/000000000001.json", b"second") is False
    assert store.create("digits/000000000001.json", b"first") is False
    assert store.read("digits/000000000001.json") == b"first"


def test_of_many_writers_one_wins(store: LedgerStore):
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.create("digits/000000000001.json", b"%d" % n), range(8)))
    assert won.count(True) == 1
    assert store.read("digits/000000000001.json") == b"%d" % won.index(True)


def test_names_are_those_of_the_service_in_order(store: LedgerStore):
    for name in ("digits/000000000010.json", "digits/000000000002.json", "digits-two/000000000001.json"):
        store.create(name, b"{}")
    assert list(store.names("digits")) == ["digits/000000000002.json", "digits/000000000010.json"]
    assert list(store.services()) == ["digits", "digits-two"]


def test_what_is_not_there(store: LedgerStore):
    assert list(store.names("digits")) == []
    assert list(store.services()) == []
    with pytest.raises(KeyError):
        store.read("digits/000000000001.json")


def test_what_lies_beside_the_folders_is_no_service(store: LedgerStore):
    store.create("digits/000000000001.json", b"{}")
    store.create("readme.txt", b"Do not touch.")
    assert list(store.services()) == ["digits"]


def test_a_note_is_replaced_and_is_no_entry(store: LedgerStore):
    assert store.recall("digits/head") is None
    store.remember("digits/head", b"one")
    store.remember("digits/head", b"two")
    assert store.recall("digits/head") == b"two"
    assert list(store.names("digits")) == []
    assert list(store.services()) == []
    with pytest.raises(KeyError):
        store.read("digits/head")


def test_where_there_is_no_place_for_notes_there_are_none(store: LedgerStore, request: pytest.FixtureRequest):
    if isinstance(store, MemoryLedger):
        store.notes = None
    elif isinstance(store, FileLedger):
        store.notes.rmdir()
    else:
        blobs = request.getfixturevalue("blob_service")
        blobs.delete_container(request.getfixturevalue("container") + NOTES)
    store.remember("digits/head", b"one")
    assert store.recall("digits/head") is None
    assert store.create("digits/000000000001.json", b"{}")


@pytest.mark.sandbox
def test_a_container_that_is_missing_is_said_and_never_made(blob_service):
    name = f"test-{uuid.uuid4().hex[:12]}"
    store = AzureLedger(blob_service, name)
    for call in (
        lambda: store.names("digits"),
        store.services,
        lambda: store.read("digits/000000000001.json"),
        lambda: store.create("digits/000000000001.json", b"{}"),
    ):
        with pytest.raises(Permanent) as failure:
            call()
        assert failure.value.reason == Reason.LEDGER_MISSING
        assert name in failure.value.sentence
    store.remember("digits/head", b"one")
    assert store.recall("digits/head") is None
    assert not list(blob_service.list_containers(name_starts_with=name))
