"""Find the newest entry of a chain without a list of all: the same few requests at 100 and at 100,000 entries.

Names grow without a gap, so that the head is the name that stands and has no successor. A note about the head
(`<service>/head`) says where to begin; without one, or with a wrong one, the search goes on in doubling steps and
then halves what is left. A name that stands alone, behind a gap, is no head, wherever a search comes upon it:

* a name counts only together with the one before it;
* what a search without a note ends at is checked 1, 2, 4, 8 … names back; where one of them is missing, the head is
  looked for before the gap;
* the head has to be a sound entry that continues the one before it.

What stands right after the head and does not continue it is no stray but a break: nothing can be written there. So
is a piece of a chain behind a gap: it had predecessors once, and nothing may be written in their place. It is looked
for where the search passes anyway; whoever wants to know about every gap runs `nightferry ledger verify`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.ledger_entry import GENESIS, LedgerEntry, canonical
from nightferry.errors import Permanent
from nightferry.steps.record.stored_entry import broken, parsed

LOOK_AHEAD = 1024
"""How many places after its end a chain that was found without a note is looked at, at least."""
Has = Callable[[int], bool]
At = Callable[[int], LedgerEntry]


def note_name(service: str) -> str:
    """The name of the note about a chain's head."""
    return f"{service}/head"


def note_head(store: LedgerStore, entry: LedgerEntry) -> None:
    """Note the head, for whoever looks for it next."""
    store.remember(note_name(entry.service), canonical({"sequence": entry.sequence, "digest": entry.digest}))


def find_head(store: LedgerStore, service: str, has: Has, at: At) -> int:
    """The sequence of a chain's newest entry; 0 for an empty chain.

    Args:
        store: for the note, and for the list of names of a chain that seems to be empty.
        service: the chain.
        has: whether the name of a sequence is there.
        at: its entry, checked. Raises Permanent (ledger_broken, ledger_newer).

    Raises:
        Permanent: (ledger_broken, ledger_newer) its end is not as it was written.
    """
    noted = _noted(store, service, has, at)
    head = _last(noted, has) if noted else _searched(store, service, has, at)
    if head:
        entry = at(head)
        if entry.previous != (at(head - 1).digest if head > 1 else GENESIS):
            raise broken(LedgerEntry.name(service, head), "it does not continue the entry before it")
    return head


def _noted(store: LedgerStore, service: str, has: Has, at: At) -> int:
    """The entry that the note is about; 0 when there is no note, or no such entry in its place."""
    try:
        note = json.loads(store.recall(note_name(service)) or b"{}")
        sequence, digest = int(note["sequence"]), note["digest"]
        if sequence < 1 or not has(sequence) or (sequence > 1 and not has(sequence - 1)):
            return 0
        return sequence if at(sequence).digest == digest else 0
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, Permanent):
        return 0


def _searched(store: LedgerStore, service: str, has: Has, at: At) -> int:
    limit: int | None = None
    while True:
        head = _last(0, has, limit)
        gap = _gap(head, has)
        if gap is None:
            break
        if _piece(head, has, at):
            raise broken(LedgerEntry.name(service, gap), f"it is missing; {LedgerEntry.name(service, head)} is there")
        limit = gap
    behind = _behind(store, service, head, has, at)
    if behind is None:
        return head
    if not has(head + 1):
        raise broken(LedgerEntry.name(service, head + 1), f"it is missing; {behind} is there")
    return _last(head, has, limit)  # the next was written meanwhile


def _last(low: int, has: Has, limit: int | None = None) -> int:
    """The last name from `low` on that has a predecessor and no successor; none from `limit` on counts."""

    def connected(sequence: int) -> bool:
        return (limit is None or sequence < limit) and has(sequence) and (sequence == 1 or has(sequence - 1))

    step = 1
    while connected(low + step):
        low += step
        step *= 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if connected(middle) else (low, middle)
    return low


def _gap(head: int, has: Has) -> int | None:
    """A missing name 1, 2, 4, 8 … before the head."""
    step = 1
    while step < head:
        if not has(head - step):
            return head - step
        step *= 2
    return None


def _behind(store: LedgerStore, service: str, head: int, has: Has, at: At) -> str | None:
    """The name of an entry behind the end of the chain, where one is found easily.

    Behind no chain at all, every name is looked at: they should be none. Else the places 2, 4, 8 … after the end are,
    so that a gap is noticed when what is behind it is longer than the gap.
    """
    if not head:
        return next((name for name in store.names(service) if parsed(name, store.read(name))), None)
    step = 2
    while step <= max(head, LOOK_AHEAD):
        if has(head + step) and (_sound(head + step, at) if step == 2 else _piece(head + step, has, at)):
            return LedgerEntry.name(service, head + step)
        step *= 2
    return None


def _piece(sequence: int, has: Has, at: At) -> bool:
    """Whether what stands here is a piece of a chain: two entries that belong together, no strays."""
    pairs = ((sequence - 1, sequence), (sequence, sequence + 1))
    return any(
        has(first)
        and has(second)
        and _sound(first, at)
        and _sound(second, at)
        and at(second).previous == at(first).digest
        for first, second in pairs
    )


def _sound(sequence: int, at: At) -> bool:
    try:
        at(sequence)
    except Permanent:
        return False
    return True
