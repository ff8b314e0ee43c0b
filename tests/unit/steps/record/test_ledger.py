"""The record: written once, in order, and any change to it shows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nightferry.entities.ledger_entry import GENESIS, Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.record import ledger as ledgers

from tests.fakes.memory.memory_ledger import MemoryLedger
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


class Hasty(MemoryLedger):
    """Someone else is always first, with an entry of another key each time, `times` times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def create(self, name: str, content: bytes) -> bool:
        if self.times:
            self.times -= 1
            other = LedgerEntry.model_validate_json(content).model_copy(update={"key": f"other {self.times}"})
            super().create(name, other.sealed().to_bytes())
        return super().create(name, content)


def test_a_writer_to_whom_others_are_always_first_gives_up_after_pauses():
    store, clock = Hasty(10**6), StillClock()
    with pytest.raises(Temporary) as failure:
        ledgers.append_with(store, clock, "digits", lambda chain: facts_of("a"))
    assert failure.value.reason == Reason.LEDGER_BUSY
    assert 10**6 - store.times == ledgers.TRIES
    assert 0 < clock.slept < 90


def test_a_writer_looks_again_when_another_was_first():
    store, seen = Hasty(3), []

    def make(chain: ledgers.Chain) -> dict[str, Any]:
        seen.append(chain.head.sequence if chain.head else 0)
        return facts_of("a")

    assert ledgers.append_with(store, StillClock(), "digits", make).sequence == 4
    assert seen == [0, 1, 2, 3]


def test_what_the_chain_says_already_is_not_written():
    store = MemoryLedger()
    first = append(store, "a")
    assert ledgers.append_with(store, StillClock(), "digits", lambda chain: chain.head or {}) == first
    assert len(store.blobs) == 1


def facts_of(key: str) -> dict[str, Any]:
    return {
        "kind": Kind.STEP,
        "key": key,
        "release": None,
        "actor": "ana",
        "reason": Reason.SUCCEEDED,
        "sentence": "",
        "data": {},
    }


STRAYS = ("digits/note.json", "digits/000000000009.json", "digits/sub/000000000004.json", "digits/000000099999.json")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_what_lies_beside_the_entries_is_named_and_breaks_nothing(content: bytes):
    store = MemoryLedger()
    for key in ("a", "b", "c"):
        last = append(store, key)
    for name in STRAYS:
        store.blobs[name] = content
    assert ledgers.verify(store, "digits") == ledgers.VerifiedChain(3, last.digest, tuple(sorted(STRAYS)))


def test_an_entry_behind_a_gap_is_no_stray():
    store = MemoryLedger()
    for key in ("a", "b", "c", "d", "e"):
        append(store, key)
    for sequence in (3, 4):
        del store.blobs[LedgerEntry.name("digits", sequence)]
    with pytest.raises(Permanent) as failure:
        ledgers.verify(store, "digits")
    assert "digits/000000000003.json" in failure.value.sentence


def chain_of_five() -> tuple[MemoryLedger, list[LedgerEntry]]:
    store = MemoryLedger()
    return store, [append(store, key) for key in "abcde"]


def test_a_chain_that_was_cut_at_its_end_is_seen_against_a_head_that_was_noted():
    store, entries = chain_of_five()
    noted = [ledgers.NotedHead(entries[4].digest), ledgers.NotedHead(entries[4].digest, 5)]
    for head in noted:
        assert ledgers.verify(store, "digits", head).count == 5
    del store.blobs["digits/000000000005.json"]
    assert ledgers.verify(store, "digits").count == 4, "the chain alone does not show it"
    for head in noted:
        with pytest.raises(Permanent) as failure:
            ledgers.verify(store, "digits", head)
        assert failure.value.reason == Reason.LEDGER_BROKEN
        assert "digits/000000000005.json" in failure.value.sentence


def test_a_chain_that_grew_since_a_head_was_noted_is_whole():
    store, entries = chain_of_five()
    assert ledgers.verify(store, "digits", ledgers.NotedHead(entries[2].digest)).count == 5
    assert ledgers.verify(store, "digits", ledgers.NotedHead(entries[2].digest, 3)).count == 5


def test_a_chain_that_was_written_anew_is_seen_against_a_head_that_was_noted():
    _, entries = chain_of_five()
    other = MemoryLedger()
    for key in "abcdefg":
        append(other, key, actor="eve")
    for head in (ledgers.NotedHead(entries[4].digest), ledgers.NotedHead(entries[4].digest, 5)):
        with pytest.raises(Permanent) as failure:
            ledgers.verify(other, "digits", head)
        assert failure.value.reason == Reason.LEDGER_BROKEN
