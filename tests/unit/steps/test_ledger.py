"""The record: written once, in order, and any change to it shows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nightferry.entities.ledger_entry import GENESIS, Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record import ledger as ledgers

from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.still_clock import StillClock


def append(store: MemoryLedger, key: str, **changes: Any) -> LedgerEntry:
    facts: dict[str, Any] = {
        "service": "digits",
        "kind": Kind.STEP,
        "key": key,
        "release": None,
        "actor": "ana",
        "reason": Reason.SUCCEEDED,
        "sentence": "Größe geprüft.",
    }
    return ledgers.append(store, StillClock(), **(facts | changes))


def test_entries_are_chained():
    store = MemoryLedger()
    first, second = append(store, "a"), append(store, "b")
    assert (first.sequence, first.previous) == (1, GENESIS)
    assert (second.sequence, second.previous) == (2, first.digest)
    assert first.time == "2026-11-21T01:00:00Z"
    assert list(store.names("digits")) == ["digits/000000000001.json", "digits/000000000002.json"]
    assert ledgers.verify(store, "digits") == ledgers.VerifiedChain(2, second.digest)


def test_a_fact_is_written_once():
    store = MemoryLedger()
    first = append(store, "a", sentence="first")
    append(store, "b")
    assert append(store, "a", sentence="second") == first
    assert len(store.blobs) == 2


def test_services_have_chains_of_their_own():
    store = MemoryLedger()
    append(store, "a")
    assert append(store, "a", service="digits-two").sequence == 1


def test_many_writers_write_each_fact_once():
    store = MemoryLedger()
    start = threading.Barrier(8)

    def write(worker: int) -> None:
        start.wait()
        for number in range(10):
            append(store, f"fact {number}", actor=f"worker {worker}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert len(store.blobs) == 10
    assert ledgers.verify(store, "digits").count == 10


def test_an_answer_that_was_lost_does_not_write_twice():
    """The entry is written, but its writer hears that the name is taken."""

    class Lossy(MemoryLedger):
        def create(self, name: str, content: bytes) -> bool:
            super().create(name, content)
            return False

    store = Lossy()
    assert append(store, "a").key == "a"
    assert len(store.blobs) == 1


def test_a_search_reads_no_further_than_the_release_began():
    store = MemoryLedger()
    for number in range(50):
        append(store, f"old {number}")
    append(store, "night", kind=Kind.DECISION, release="digits-2026-11-21.1")
    store.reads = 0
    append(store, "digits-2026-11-21.1/build_image", release="digits-2026-11-21.1")
    assert store.reads == 2, "the decision, and the entry before it that it continues"


def test_every_changed_byte_is_found():
    store = MemoryLedger()
    for key in ("a", "b", "c"):
        append(store, key)
    for name, content in list(store.blobs.items()):
        for position in range(0, len(content), 7):
            for changed in (content[position] ^ 1, 0x20):
                if changed == content[position]:
                    continue
                store.blobs[name] = content[:position] + bytes([changed]) + content[position + 1 :]
                with pytest.raises(Permanent) as failure:
                    ledgers.verify(store, "digits")
                assert failure.value.reason == Reason.LEDGER_BROKEN
                assert name in failure.value.sentence
        store.blobs[name] = content
    assert ledgers.verify(store, "digits").count == 3


def drop(store: MemoryLedger) -> None:
    del store.blobs["digits/000000000002.json"]


def swap(store: MemoryLedger) -> None:
    second, third = "digits/000000000002.json", "digits/000000000003.json"
    store.blobs[second], store.blobs[third] = store.blobs[third], store.blobs[second]


def rewrite(store: MemoryLedger) -> None:
    """A forger who knows how digests are made."""
    entry = LedgerEntry.model_validate_json(store.blobs["digits/000000000001.json"])
    forged = entry.model_copy(update={"actor": "someone else"}).sealed()
    store.blobs["digits/000000000001.json"] = forged.to_bytes()


def reformat(store: MemoryLedger) -> None:
    entry = LedgerEntry.model_validate_json(store.blobs["digits/000000000002.json"])
    store.blobs["digits/000000000002.json"] = entry.model_dump_json(indent=1).encode()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (drop, "digits/000000000002.json"),
        (swap, "digits/000000000002.json"),
        (rewrite, "digits/000000000002.json"),
        (reformat, "digits/000000000002.json"),
    ],
)
def test_other_changes_are_found(change: Any, named: str):
    store = MemoryLedger()
    for key in ("a", "b", "c"):
        append(store, key)
    change(store)
    with pytest.raises(Permanent) as failure:
        ledgers.verify(store, "digits")
    assert failure.value.reason == Reason.LEDGER_BROKEN
    assert named in failure.value.sentence


def test_nothing_is_added_to_a_broken_end():
    store = MemoryLedger()
    append(store, "a")
    store.blobs["digits/000000000001.json"] = store.blobs["digits/000000000001.json"].replace(b"ana", b"eva")
    with pytest.raises(Permanent) as failure:
        append(store, "b")
    assert failure.value.reason == Reason.LEDGER_BROKEN
    assert len(store.blobs) == 1


def test_an_empty_chain_is_whole():
    assert ledgers.verify(MemoryLedger(), "digits") == ledgers.VerifiedChain(0, GENESIS)
