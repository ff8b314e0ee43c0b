"""The newest entry is found by a note or without one, whatever else lies in the container."""

from __future__ import annotations

import itertools
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from nightferry.entities.ledger_entry import GENESIS, Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.chain_head import note_name

from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.still_clock import StillClock

RELEASE = "digits-2026-11-21.1"


def append(store: MemoryLedger, key: str = "new") -> LedgerEntry:
    facts: dict[str, Any] = {"release": RELEASE, "actor": "ana", "reason": Reason.SUCCEEDED, "sentence": "Done."}
    return ledgers.append(store, StillClock(), service="digits", kind=Kind.STEP, key=key, **facts)


def chain_of(length: int) -> MemoryLedger:
    """A sound chain, whose newest entry began a release, and no note about it."""
    store = MemoryLedger()
    store.blobs = dict(_blobs(length))
    return store


@cache
def _blobs(length: int) -> dict[str, bytes]:
    previous, blobs = GENESIS, {}
    for sequence in range(1, length + 1):
        entry = sealed(sequence, previous)
        blobs[LedgerEntry.name("digits", sequence)] = entry.to_bytes()
        previous = entry.digest
    return blobs


def sealed(sequence: int, previous: str) -> LedgerEntry:
    return LedgerEntry(
        schema=2,
        sequence=sequence,
        time="2026-11-21T01:00:00Z",
        service="digits",
        kind=Kind.DECISION,
        key=f"run:{sequence}",
        release=RELEASE,
        actor="ana",
        reason=Reason.FORCED,
        sentence="",
        data={},
        previous=previous,
    ).sealed()


def head(store: MemoryLedger) -> int:
    newest = ledgers.Chain(store, "digits").head
    return newest.sequence if newest else 0


@pytest.mark.parametrize("length", [*range(20), 31, 32, 33, 64, 100, 255, 256, 257])
@pytest.mark.parametrize("notes", [{}, None], ids=["no note", "no place for notes"])
def test_it_is_found_without_a_note(length: int, notes: Any):
    store = chain_of(length)
    store.notes = notes
    assert head(store) == length
    assert append(store).sequence == length + 1


def test_a_note_saves_the_search():
    store = chain_of(300)
    append(store)
    store.asked = 0
    assert head(store) == 301
    assert store.asked == 4, "the note, the newest entry, the one before it, and that there is none after it"


@pytest.mark.parametrize("length", [100, 10_000])
def test_an_append_costs_the_same_at_every_length(length: int):
    store = chain_of(length)
    append(store, "first")
    store.asked = 0
    append(store, "second")
    assert store.asked == 6, "four to find the head and what is before it, one to write, one to note"


def test_without_notes_an_append_costs_little_more():
    store = chain_of(10_000)
    store.notes = None
    append(store)
    assert store.asked < 100


def test_a_note_that_is_behind_is_caught_up_with():
    store = chain_of(50)
    append(store, "a")
    assert store.notes is not None
    old = dict(store.notes)
    for key in "bcdefgh":
        append(store, key)
    store.notes = old
    assert head(store) == 58


NAME = note_name("digits")
DIGEST = sealed(1, GENESIS).digest.encode()


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"no JSON",
        b"\xff",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"sequence":null,"digest":""}',
        b'{"sequence":-1,"digest":""}',
        b'{"sequence":0,"digest":""}',
        b'{"sequence":40,"digest":"%s"}' % DIGEST,
        b'{"sequence":999,"digest":"%s"}' % DIGEST,
        b'{"sequence":2,"digest":"%s"}' % DIGEST,
        b'{"sequence":1,"digest":"%s"}' % DIGEST,
        b'{"sequence":1e999,"digest":""}',
        b"[" * 100_000,
    ],
)
def test_a_wrong_note_decides_nothing(note: bytes):
    store = chain_of(40)
    store.notes = {NAME: note}
    assert head(store) == 40
    assert append(store).sequence == 41


def test_a_note_about_a_stray_decides_nothing():
    store = chain_of(40)
    stray = sealed(500, "f" * 64)
    store.blobs[LedgerEntry.name("digits", 500)] = stray.to_bytes()
    store.notes = {NAME: b'{"sequence":500,"digest":"%s"}' % stray.digest.encode()}
    assert append(store).sequence == 41


def test_a_note_with_another_digest_decides_nothing():
    """Even where entries stand that continue each other: they are not what was noted."""
    store = chain_of(40)
    first = sealed(500, "f" * 64)
    for entry in (first, sealed(501, first.digest)):
        store.blobs[LedgerEntry.name("digits", entry.sequence)] = entry.to_bytes()
    store.notes = {NAME: b'{"sequence":501,"digest":"%s"}' % DIGEST}
    assert append(store).sequence == 41


STRAYS: dict[str, Any] = {
    "empty": lambda place: b"",
    "text": lambda place: b"a note",
    "json": lambda place: b"{}",
    "deep": lambda place: b"[" * 100_000,
    "another entry's bytes": lambda place: sealed(7, GENESIS).to_bytes(),
    "an entry of its own": lambda place: sealed(place, "f" * 64).to_bytes(),
}
PLACES = (103, 104, 112, 127, 128, 129, 160, 192, 200, 255, 256, 257, 512, 1024, 99_999)
"""Where a search in a chain of 100 looks, where it does not, and in between."""


@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("noted", [True, False])
def test_a_stray_anywhere_ahead_is_no_head(stray: str, noted: bool):
    """One at each place, then two at once at every pair of them."""
    for places in [*((place,) for place in PLACES), *itertools.combinations(PLACES, 2)]:
        if stray == "an entry of its own" and len(places) == 2:
            continue
        store = chain_of(100)
        if noted:
            append(store)
        for place in places:
            store.blobs[LedgerEntry.name("digits", place)] = STRAYS[stray](place)
        length = 101 if noted else 100
        assert head(store) == length, places
        assert append(store, "another").sequence == length + 1, places


@pytest.mark.parametrize("first", [103, 120, 127, 128, 200, 250, 256, 1020])
@pytest.mark.parametrize("length", [2, 3, 5])
def test_strays_side_by_side_are_no_head(first: int, length: int):
    store = chain_of(100)
    for sequence in range(first, first + length):
        store.blobs[LedgerEntry.name("digits", sequence)] = b"{}"
    assert append(store).sequence == 101


@pytest.mark.parametrize("name", ["digits/note.json", "digits/1.json", "digits/0000000000101.json", "digits/a/b", "x"])
def test_other_names_are_no_entries(name: str):
    store = chain_of(100)
    store.blobs[name] = b"{}"
    assert append(store).sequence == 101


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("content", [b"{}", sealed(101, "f" * 64).to_bytes()])
def test_what_stands_in_the_next_place_and_does_not_continue_is_a_break(content: bytes, noted: bool):
    store = chain_of(99)
    if noted:
        append(store)
    else:
        store = chain_of(100)
    store.blobs[LedgerEntry.name("digits", 101)] = content
    for look in (head, append):
        with pytest.raises(Permanent) as failure:
            look(store)
        assert failure.value.reason == Reason.LEDGER_BROKEN
        assert "000000000101" in failure.value.sentence


@pytest.mark.parametrize("first", [1, 2, 3, 36, 40, 63, 64, 65, 90, 96])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 20, 49])
def test_nothing_is_written_into_a_gap(first: int, length: int):
    """Entries behind a gap that is shorter than they are were written once: what is missing was removed."""
    store = chain_of(first - 1 + 2 * length + 2)
    gap = {LedgerEntry.name("digits", sequence) for sequence in range(first, first + length)}
    for name in gap:
        del store.blobs[name]
    with suppress(Permanent):
        append(store)
    assert not gap & set(store.blobs)


@pytest.mark.parametrize("missing", [(1,), (1, 2, 3), (96,), (99,), (95, 96)])
def test_a_gap_that_the_search_meets_is_named(missing: tuple[int, ...]):
    store = chain_of(100)
    for sequence in missing:
        del store.blobs[LedgerEntry.name("digits", sequence)]
    with pytest.raises(Permanent) as failure:
        append(store)
    assert failure.value.reason == Reason.LEDGER_BROKEN
    assert LedgerEntry.name("digits", missing[0]) in failure.value.sentence


def test_the_end_of_a_chain_behind_a_wide_gap_is_no_stray():
    store = chain_of(127)
    for sequence in range(100, 125):
        del store.blobs[LedgerEntry.name("digits", sequence)]
    with pytest.raises(Permanent) as failure:
        append(store)
    assert failure.value.reason == Reason.LEDGER_BROKEN
    assert len(store.blobs) == 102


def test_an_entry_that_is_written_during_the_search_is_no_gap():
    """Between the looks at 101 and 102 someone writes both."""

    class Busy(MemoryLedger):
        behind: dict[str, bytes] = {}  # noqa: RUF012 - the test fills it

        def read(self, name: str) -> bytes:
            try:
                return super().read(name)
            except KeyError:
                if name == LedgerEntry.name("digits", 101) and self.behind:
                    self.blobs |= self.behind
                    self.behind = {}
                raise

    whole = chain_of(103)
    store = Busy()
    store.blobs = {name: whole.blobs[name] for name in sorted(whole.blobs)[:100]}
    store.behind = {name: whole.blobs[name] for name in sorted(whole.blobs)[100:]}
    assert head(store) >= 100
    assert append(store).sequence == 104


def test_entries_are_read_by_their_sequence_and_once():
    store = chain_of(300)
    chain = ledgers.Chain(store, "digits")
    assert chain.at(123).key == "run:123"
    before = store.reads
    assert chain.at(123).sequence == 123
    assert store.reads == before
    with pytest.raises(Permanent) as failure:
        chain.at(301)
    assert failure.value.reason == Reason.LEDGER_BROKEN
