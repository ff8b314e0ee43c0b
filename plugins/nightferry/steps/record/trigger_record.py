"""Write on the record that somebody asked for what a run does already."""

from __future__ import annotations

import uuid

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.steps.record.ledger import Chain, append_with


def record_joined(
    ledger: LedgerStore, clock: Clock, *, service: str, run: str, actor: str, watching: bool = False
) -> LedgerEntry:
    """Write that a request by `nightferry release` joined a run; that run's decision is its own.

    Args:
        ledger: where to.
        clock: for the entry's time.
        service: the service.
        run: the run that carries the request out.
        actor: who asked.
        watching: the run was named, so that somebody who watches it again is written down once.

    Raises as `append_with`.
    """
    start = f"run:{run}/joined/"
    key = start + (actor if watching else uuid.uuid4().hex[:12])

    def make(chain: Chain) -> LedgerEntry | dict[str, object]:
        # A new release closes the one that was joined, so it ends the search.
        found = chain.find(key, lambda entry: entry.kind == Kind.RELEASE) if watching else None
        return found or {
            "kind": Kind.TRIGGER,
            "key": key,
            "release": None,
            "actor": actor,
            "reason": Reason.JOINED,
            "sentence": f"{actor} asked for what run {run} does already, and joined it.",
            "data": {"trigger": "person", "way": "command", "run": run},
        }

    return append_with(ledger, clock, service, make)
