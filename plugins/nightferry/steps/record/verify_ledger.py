"""Check every link of a chain, where it is kept or in a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.ledger_entry import GENESIS, SCHEMA, LedgerEntry, canonical
from nightferry.steps.record.stored_entry import broken, newer, parse, parsed

_NAME = re.compile(r"[^/]+/(?P<sequence>\d{12})\.json")
Progress = Callable[[int, int], None]
"""Called with how many entries are checked, and how many there are."""


@dataclass(frozen=True)
class VerifiedChain:
    """A chain that is whole."""

    count: int
    """Entries."""
    head: str
    """Digest of the newest entry; noted elsewhere, it shows when entries are cut off the end."""
    strays: tuple[str, ...] = ()
    """What lies beside the entries and is none of them."""
    newer: int = 0
    """How many entries a newer version wrote: their digests are right, and not every field is understood here."""


@dataclass(frozen=True)
class NotedHead:
    """A head that someone noted before."""

    digest: str
    sequence: int | None = None

    def check(self, entries: Iterable[tuple[LedgerEntry, bytes]], service: str) -> Iterator[tuple[LedgerEntry, bytes]]:
        """The same entries; at their end, that the noted one is among them.

        Raises:
            Permanent: (ledger_broken) it is not.
        """
        met, last = False, 0
        for entry, content in entries:
            last = entry.sequence
            if self.sequence in (None, last):
                if self.sequence and entry.digest != self.digest:
                    raise broken(LedgerEntry.name(service, last), f"it is not the noted one, {self.digest}")
                met = met or entry.digest == self.digest
            yield entry, content
        if not met:
            noted = f"entry {self.sequence}, {self.digest}" if self.sequence else self.digest
            raise broken(
                LedgerEntry.name(service, last + 1),
                f"the chain ends before it and does not hold the noted head ({noted}): entries were cut off its end",
            )


def verify(
    store: LedgerStore, service: str, noted: NotedHead | None = None, progress: Progress | None = None
) -> VerifiedChain:
    """Read the whole chain and check every link. What lies beside the entries is named, and breaks nothing.

    Args:
        store: where from.
        service: the chain.
        noted: a head that was noted before; the chain has to hold it.
        progress: told after every entry.

    Raises:
        Permanent: (ledger_broken) the sentence names the first entry that is not as it was written;
            (ledger_newer) an entry can be checked by a newer version only; (storage_denied, ledger_missing)
        Temporary: (storage_unavailable)
    """
    count, strays = sorted_out(store, service)
    entries = linked(service, entries_of(store, service, count))
    return summed_up(noted.check(entries, service) if noted else entries, strays, count, progress)


def linked(service: str, contents: Iterable[tuple[str, bytes]]) -> Iterator[tuple[LedgerEntry, bytes]]:
    """The entries of these blobs, which have to be 1, 2, 3 …; each is checked and continues the one before.

    Raises:
        Permanent: (ledger_broken, ledger_newer)
    """
    previous = GENESIS
    for count, (name, content) in enumerate(contents, start=1):
        if name != LedgerEntry.name(service, count):
            raise broken(LedgerEntry.name(service, count), f"it is missing; {name} stands in its place")
        entry = parse(name, content)
        if content != canonical(entry.to_json()):
            if entry.schema > SCHEMA:
                raise newer(name, entry.schema)
            raise broken(name, "its bytes are not in the canonical form")
        if entry.previous != previous:
            raise broken(name, "it does not continue the entry before it")
        previous = entry.digest
        yield entry, content


def summed_up(
    entries: Iterable[tuple[LedgerEntry, bytes]],
    strays: tuple[str, ...],
    total: int,
    progress: Progress | None,
) -> VerifiedChain:
    """What is to be said about the entries when all are checked."""
    count, head, written_newer = 0, GENESIS, 0
    for entry, _ in entries:
        count, head = entry.sequence, entry.digest
        written_newer += entry.schema > SCHEMA
        if progress:
            progress(count, total)
    return VerifiedChain(count, head, strays, written_newer)


def entries_of(store: LedgerStore, service: str, count: int) -> Iterator[tuple[str, bytes]]:
    """The names and bytes of the first `count` entries."""
    for sequence in range(1, count + 1):
        name = LedgerEntry.name(service, sequence)
        try:
            yield name, store.read(name)
        except KeyError as fault:
            raise broken(name, "it was removed while it was to be read") from fault


def sorted_out(store: LedgerStore, service: str) -> tuple[int, tuple[str, ...]]:
    """How many entries there are, and the names of what is none.

    Raises:
        Permanent: (ledger_broken) an entry is missing: a sound one stands behind the gap.
    """
    names = list(store.names(service))
    numbered = {name for name in names if _NAME.fullmatch(name)}
    count = 0
    while LedgerEntry.name(service, count + 1) in numbered:
        count += 1
    strays = [name for name in names if name not in numbered or name > LedgerEntry.name(service, count)]
    for name in strays:
        if name in numbered and parsed(name, store.read(name)):
            raise broken(LedgerEntry.name(service, count + 1), f"it is missing; {name} stands behind the gap")
    return count, tuple(strays)
