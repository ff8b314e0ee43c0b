"""The record: read it, add to it, verify it.

A service's chain is read from its newest entry backwards, and only as far as a question needs: what belongs to a
release stands at the end. Whoever adds an entry names the fact by a key, so that a step that runs twice (Airflow does
that after a crash) writes once.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.ledger_store import LedgerStore
from nightferry.entities.ledger_entry import GENESIS, Kind, LedgerEntry, canonical
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.masking import mask, mask_all

KEY_BOUND = 400
"""How many entries back a key that belongs to no release is looked for: a year of nights without a release."""
_NAME = re.compile(r"^(?P<service>[^/]+)/(?P<sequence>\d{12})\.json$")
Stop = Callable[[LedgerEntry], bool]


@dataclass(frozen=True)
class VerifiedChain:
    """A chain that is whole."""

    count: int
    """Entries."""
    head: str
    """Digest of the newest entry; noted elsewhere, it shows when entries are cut off the end."""


class Chain:
    """A service's entries as they are when it is made, newest first, each read once and when needed."""

    def __init__(self, store: LedgerStore, service: str) -> None:
        self._store = store
        self._names = list(store.names(service))
        self._read: list[LedgerEntry] = []
        self.service = service

    def __iter__(self) -> Iterator[LedgerEntry]:
        position = 0
        while position < len(self._names):
            if position == len(self._read):
                self._read.append(parse(self._names[-1 - position], self._store.read(self._names[-1 - position])))
            yield self._read[position]
            position += 1

    @property
    def head(self) -> LedgerEntry | None:
        """The newest entry."""
        return next(iter(self), None)

    def find(self, key: str, stop: Stop | None = None) -> LedgerEntry | None:
        """The entry with this key; the search ends at the entry that `stop` is true for, or after KEY_BOUND entries."""
        for count, entry in enumerate(self, start=1):
            if entry.key == key:
                return entry
            if stop(entry) if stop else count >= KEY_BOUND:
                return None
        return None


def parse(name: str, content: bytes) -> LedgerEntry:
    """An entry from its bytes, its digest checked.

    Raises:
        Permanent: (ledger_broken) it is not the entry that was written.
    """
    try:
        entry = LedgerEntry.model_validate_json(content)
    except ValueError as fault:
        raise _broken(name, "it is not an entry") from fault
    if entry.digest != entry.computed_digest():
        raise _broken(name, "its content is not what its digest says")
    if name != LedgerEntry.name(entry.service, entry.sequence):
        raise _broken(name, f"it says that it is {LedgerEntry.name(entry.service, entry.sequence)}")
    return entry


def of_release(release: str) -> Stop:
    """Ends a search at the decision that began the release: nothing about it is older."""
    return lambda entry: entry.kind is Kind.DECISION and entry.release == release


def append(
    store: LedgerStore,
    clock: Clock,
    *,
    service: str,
    kind: Kind,
    key: str,
    release: str | None,
    actor: str,
    reason: Reason,
    sentence: str,
    data: dict[str, Any] | None = None,
) -> LedgerEntry:
    """Add an entry, or return the one that already has this key. Safe for any number of writers at once.

    Raises:
        Temporary: (storage_unavailable)   Permanent: (storage_denied, ledger_broken)
    """
    while True:
        chain = Chain(store, service)
        existing = chain.find(key, of_release(release) if release else None)
        if existing:
            return existing
        written = append_to(
            store,
            clock,
            chain,
            kind=kind,
            key=key,
            release=release,
            actor=actor,
            reason=reason,
            sentence=sentence,
            data=data or {},
        )
        if written:
            return written


def append_to(store: LedgerStore, clock: Clock, chain: Chain, **facts: Any) -> LedgerEntry | None:
    """Add an entry right after the chain's head; None when someone else was first, and `chain` is out of date.

    Secrets in its sentence and data are masked: nobody could take them off the record again.
    """
    head = chain.head
    entry = LedgerEntry(
        sequence=head.sequence + 1 if head else 1,
        time=utc(clock.now()),
        service=chain.service,
        previous=head.digest if head else GENESIS,
        **{**facts, "sentence": mask(facts["sentence"]), "data": mask_all(facts["data"])},
    ).sealed()
    return entry if store.create(LedgerEntry.name(entry.service, entry.sequence), entry.to_bytes()) else None


def utc(time: dt.datetime) -> str:
    """A time as the record writes it: 2026-11-21T02:00:00Z."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def verify(store: LedgerStore, service: str) -> VerifiedChain:
    """Read the whole chain and check every link.

    Raises:
        Permanent: (ledger_broken) the sentence names the first entry that is not as it was written.
        Temporary: (storage_unavailable)
    """
    previous, count = GENESIS, 0
    for count, name in enumerate(store.names(service), start=1):
        content = store.read(name)
        if not _NAME.match(name) or name != LedgerEntry.name(service, count):
            raise _broken(LedgerEntry.name(service, count), f"it is missing; {name} stands in its place")
        entry = parse(name, content)
        if content != canonical(entry.to_json()):
            raise _broken(name, "its bytes are not in the canonical form")
        if entry.previous != previous:
            raise _broken(name, "it does not continue the entry before it")
        previous = entry.digest
    return VerifiedChain(count, previous)


def _broken(name: str, fact: str) -> Permanent:
    return Permanent(
        Reason.LEDGER_BROKEN,
        f"The ledger was changed at entry {name}: {fact}. Keep it as it is, and compare it with a backup.",
    )
