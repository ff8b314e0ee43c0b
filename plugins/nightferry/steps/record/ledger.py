"""The record: read it and add to it.

A service's chain is read from its newest entry backwards, and only as far as a question needs: what belongs to a
release stands at the end. Whoever adds an entry names the fact by a key, so that a step that runs twice (Airflow does
that after a crash) writes once.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.ledger_entry import GENESIS, SCHEMA, Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary
from nightferry.masking import mask, mask_all
from nightferry.steps.record.chain_head import find_head, note_head
from nightferry.steps.record.stored_entry import broken
from nightferry.steps.record.stored_entry import parse as parse
from nightferry.steps.record.verify_ledger import NotedHead as NotedHead
from nightferry.steps.record.verify_ledger import VerifiedChain as VerifiedChain
from nightferry.steps.record.verify_ledger import verify as verify

KEY_BOUND = 400
"""How many entries back a key that belongs to no release is looked for: a year of nights without a release."""
TRIES = 30
"""How often an entry is written when others are first each time."""
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0
"""Seconds before another try: at random up to FIRST_PAUSE, doubled each time, and up to this."""
Stop = Callable[[LedgerEntry], bool]
Make = Callable[["Chain"], dict[str, Any] | LedgerEntry]
"""Looks at the chain as it is: the facts to add, or the entry that says them already."""


class Chain:
    """A service's entries as they are when it is made, newest first, each read once and when needed.

    Raises:
        Temporary: (storage_unavailable)
        Permanent: (storage_denied, ledger_missing, ledger_newer; ledger_broken: its end is not as it was written)
    """

    def __init__(self, store: LedgerStore, service: str) -> None:
        self.service = service
        self.store = store
        self._contents: dict[int, bytes] = {}
        self._entries: dict[int, LedgerEntry] = {}
        self._length = find_head(store, service, self._has, self.at)

    def __iter__(self) -> Iterator[LedgerEntry]:
        for sequence in range(self._length, 0, -1):
            yield self.at(sequence)

    @property
    def head(self) -> LedgerEntry | None:
        """The newest entry."""
        return self.at(self._length) if self._length else None

    def at(self, sequence: int) -> LedgerEntry:
        """The entry with this sequence. Raises Permanent (ledger_broken: also when it is missing; ledger_newer)."""
        if sequence not in self._entries:
            name = LedgerEntry.name(self.service, sequence)
            if not self._has(sequence):
                raise broken(name, "it is missing")
            self._entries[sequence] = parse(name, self._contents[sequence])
            del self._contents[sequence]
        return self._entries[sequence]

    def find(self, key: str, stop: Stop | None = None) -> LedgerEntry | None:
        """The entry with this key; the search ends at the entry that `stop` is true for, or after KEY_BOUND entries."""
        for count, entry in enumerate(self, start=1):
            if entry.key == key:
                return entry
            if stop(entry) if stop else count >= KEY_BOUND:
                return None
        return None

    def _has(self, sequence: int) -> bool:
        """Whether there is such a name. What is not there is asked for again: someone may have written it since."""
        if sequence in self._entries or sequence in self._contents:
            return True
        try:
            self._contents[sequence] = self.store.read(LedgerEntry.name(self.service, sequence))
        except KeyError:
            return False
        return True


def of_release(release: str) -> Stop:
    """Ends a search at the decision that began the release: nothing about it is older."""
    return lambda entry: entry.kind == Kind.DECISION and entry.release == release


def append(
    store: LedgerStore,
    clock: Clock,
    *,
    service: str,
    kind: Kind,
    key: str,
    release: str | None,
    actor: str,
    reason: Reason | str,
    sentence: str,
    data: dict[str, Any] | None = None,
) -> LedgerEntry:
    """Add an entry, or return the one that already has this key. Safe for any number of writers at once.

    Raises as `append_with`.
    """
    facts = {
        "kind": kind,
        "key": key,
        "release": release,
        "actor": actor,
        "reason": reason,
        "sentence": sentence,
        "data": data or {},
    }
    stop = of_release(release) if release else None
    return append_with(store, clock, service, lambda chain: chain.find(key, stop) or facts)


def append_with(store: LedgerStore, clock: Clock, service: str, make: Make) -> LedgerEntry:
    """Add the entry that `make` says, or return the one it found: what two writers at once need.

    When another writer is first, `make` looks again, at the chain as it is then.

    Args:
        store: where to.
        clock: for the entry's time, and for the pauses between tries.
        service: the chain.
        make: `make(chain)` is the facts of the entry to add (kind, key, release, actor, reason, sentence, data), or
            the entry that says them already.

    Raises:
        Temporary: (ledger_busy) others were first TRIES times; (storage_unavailable)
        Permanent: (storage_denied, ledger_missing, ledger_broken, ledger_newer)
    """
    for number in range(TRIES):
        if number:
            longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (number - 1))
            clock.sleep(random.uniform(0, longest))  # noqa: S311 - it spreads writers, and guards nothing
        chain = Chain(store, service)
        made = make(chain)
        entry = made if isinstance(made, LedgerEntry) else append_to(store, clock, chain, **made)
        if entry:
            return entry
    raise Temporary(
        Reason.LEDGER_BUSY,
        f"Others wrote to the ledger of {service} first, {TRIES} times: too many write to it at once. Try again later.",
    )


def append_to(store: LedgerStore, clock: Clock, chain: Chain, **facts: Any) -> LedgerEntry | None:
    """Add an entry right after the chain's head; None when someone else was first, and `chain` is out of date.

    Secrets in its sentence and data are masked: nobody could take them off the record again.
    """
    head = chain.head
    entry = LedgerEntry(
        schema=SCHEMA,
        sequence=head.sequence + 1 if head else 1,
        time=utc(clock.now()),
        service=chain.service,
        previous=head.digest if head else GENESIS,
        **{**facts, "sentence": mask(facts["sentence"]), "data": mask_all(facts["data"])},
    ).sealed()
    if not store.create(LedgerEntry.name(entry.service, entry.sequence), entry.to_bytes()):
        return None
    note_head(store, entry)
    return entry


def utc(time: dt.datetime) -> str:
    """A time as the record writes it: 2026-11-21T02:00:00Z."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
