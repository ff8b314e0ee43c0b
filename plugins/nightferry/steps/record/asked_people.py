"""What people answered about a release that waits, as the record has it."""

from __future__ import annotations

import datetime as dt

from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.approvals.approval import approvals_in
from nightferry.entities.approvals.counted import Count, Terms, counted
from nightferry.entities.state.waiting import Waiting
from nightferry.steps.record.history import decision_in, release_entries


def approved_by(ledger: LedgerStore, waiting: Waiting) -> tuple[str, ...]:
    """Who approved what waits; empty while too few have, or somebody said no. Raises as `release_entries`."""
    _, count = _asked(ledger, waiting)
    return count.yes if count and count.approved else ()


def still_asked(ledger: LedgerStore, waiting: Waiting, now: dt.datetime) -> bool:
    """Whether answers to what waits are still missing, and may come. Raises as `release_entries`."""
    terms, count = _asked(ledger, waiting)
    if terms is None or count is None or count.approved or count.no or terms.blocked:
        return False
    return terms.until is None or now < dt.datetime.fromisoformat(terms.until)


def _asked(ledger: LedgerStore, waiting: Waiting) -> tuple[Terms | None, Count | None]:
    """What people were asked about what waits, and what they answered so far; None where nobody is asked."""
    entries, name = release_entries(ledger, waiting.release), waiting.environment
    decision = decision_in(entries)
    terms = Terms.of(decision, name, waiting.image, entries)
    return terms, counted(approvals_in(entries, name), terms) if terms else None
