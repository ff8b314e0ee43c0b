"""Ledgers of other versions: of before, and of one that is not written yet."""

from __future__ import annotations

import json

import pytest
from nightferry.entities.ledger_entry import Kind, LedgerEntry, canonical
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record import ledger as ledgers

from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.old_ledgers import SCHEMA_1, of_schema_1, written_by_a_newer_version
from tests.fakes.still_clock import StillClock

HEAD_OF_SCHEMA_1 = "d841053434b57654bb4e71e682ace8f3e9424b34f1ea134e1952a906a091bcdd"
"""As the version that wrote it said."""


def append(store: MemoryLedger, key: str) -> LedgerEntry:
    return ledgers.append(
        store,
        StillClock(),
        service="digits",
        kind=Kind.STEP,
        key=key,
        release=None,
        actor="ana",
        reason=Reason.SUCCEEDED,
        sentence="Done.",
    )


def test_a_ledger_of_before_is_whole_and_read_as_it_was_written():
    store = of_schema_1()
    assert ledgers.verify(store, "digits") == ledgers.VerifiedChain(19, HEAD_OF_SCHEMA_1)
    entries = list(ledgers.Chain(store, "digits"))
    assert [entry.to_bytes() for entry in reversed(entries)] == SCHEMA_1.read_bytes().splitlines()
    assert {entry.kind for entry in entries} == {"decision", "step", "rollout", "verification", "release"}
    assert {entry.schema for entry in entries} == {1}


def test_a_ledger_of_before_is_continued():
    store = of_schema_1()
    added = append(store, "new")
    assert (added.schema, added.sequence, added.previous) == (2, 20, HEAD_OF_SCHEMA_1)
    assert json.loads(store.blobs["digits/000000000020.json"])["schema"] == 2
    assert ledgers.verify(store, "digits") == ledgers.VerifiedChain(20, added.digest)


def test_an_entry_of_before_whose_byte_was_changed_is_found():
    store = of_schema_1()
    name = "digits/000000000007.json"
    store.blobs[name] = store.blobs[name].replace(b"ada", b"eve", 1)
    with pytest.raises(Permanent) as failure:
        ledgers.verify(store, "digits")
    assert failure.value.reason == Reason.LEDGER_BROKEN
    assert name in failure.value.sentence


def test_a_ledger_of_a_newer_version_is_read_continued_and_not_called_broken():
    store = MemoryLedger()
    content = written_by_a_newer_version(store, append(store, "a"))
    newest = ledgers.Chain(store, "digits").head
    assert newest is not None
    assert (newest.schema, newest.kind, newest.reason) == (3, "rehearsal", "would_start")
    assert newest.to_bytes() == content
    added = append(store, "b")
    assert added.previous == newest.digest
    assert ledgers.verify(store, "digits") == ledgers.VerifiedChain(3, added.digest, newer=1)


def unlike(content: bytes) -> bytes:
    """As if that version computed digests in another way."""
    return canonical(json.loads(content) | {"digest": "blake3:ab"})


def another_form(content: bytes) -> bytes:
    """As if that version had no actor, but a list of them."""
    stored = json.loads(content)
    stored["actors"] = [stored.pop("actor")]
    return canonical(stored)


def other_bytes(content: bytes) -> bytes:
    """As if that version wrote other bytes for the same entry."""
    return json.dumps(json.loads(content), indent=1).encode()


@pytest.mark.parametrize("change", [unlike, another_form, other_bytes])
def test_what_only_a_newer_version_can_check_is_said_to_be_just_that(change):
    store = MemoryLedger()
    name = "digits/000000000002.json"
    store.blobs[name] = change(written_by_a_newer_version(store, append(store, "a")))
    with pytest.raises(Permanent) as failure:
        ledgers.verify(store, "digits")
    assert failure.value.reason == Reason.LEDGER_NEWER
    assert name in failure.value.sentence
    assert "newer version" in failure.value.sentence
    assert "changed" not in failure.value.sentence


@pytest.mark.parametrize("schema", ["3", True, 0, -1, None])
def test_a_schema_that_is_no_number_of_ours_excuses_nothing(schema):
    store = MemoryLedger()
    written_by_a_newer_version(store, append(store, "a"), schema=schema)
    with pytest.raises(Permanent) as failure:
        ledgers.verify(store, "digits")
    assert failure.value.reason == Reason.LEDGER_BROKEN


@pytest.mark.parametrize("field", ["schema_version", "to_json", "sealed", "model_dump", "name"])
def test_a_field_that_is_called_as_something_of_ours_breaks_nothing(field):
    store = MemoryLedger()
    content = written_by_a_newer_version(store, append(store, "a"), **{field: "theirs"})
    newest = ledgers.Chain(store, "digits").head
    assert newest is not None
    assert newest.to_bytes() == content
    assert ledgers.verify(store, "digits").newer == 1
