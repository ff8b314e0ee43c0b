"""What every LedgerStore does."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from nightferry.clients.azure.ledger import AzureLedger
from nightferry.clients.ledger_store import LedgerStore

from tests.fakes.memory_ledger import MemoryLedger


@pytest.fixture(params=["memory", pytest.param("azure", marks=pytest.mark.sandbox)])
def store(request: pytest.FixtureRequest) -> LedgerStore:
    if request.param == "memory":
        return MemoryLedger()
    return AzureLedger(request.getfixturevalue("blob_service"), request.getfixturevalue("container"))


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


@pytest.mark.sandbox
def test_the_container_is_made_with_the_first_entry(blob_service):
    name = f"test-{uuid.uuid4().hex[:12]}"
    store = AzureLedger(blob_service, name)
    assert list(store.names("digits")) == []
    assert list(store.services()) == []
    try:
        assert store.create("digits/000000000001.json", b"{}")
        assert list(store.services()) == ["digits"]
    finally:
        blob_service.delete_container(name)
