"""What the record says of people's answers: those for the release that waits, and what a no bars."""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.entities.approvals.approval import Approval, approvals_in
from nightferry.entities.barring.quarantine import Quarantine, barred_by, bars_of
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason


def answered_after(known: Sequence[Approval], entry: LedgerEntry) -> tuple[Approval, ...]:
    """The answers with one entry more. Those of a release are forgotten when the next one is asked about."""
    return (*known, *approvals_in([entry], str(entry.data.get("environment"))))


def declined_by(quarantines: Sequence[Quarantine], entry: LedgerEntry) -> tuple[Quarantine, ...]:
    """The quarantines after an answer: a no bars the image's parts, until somebody asks for them by name."""
    if entry.reason != Reason.DECLINED:
        return tuple(quarantines)
    known = {one.parts for one in quarantines}
    bars = [bar for bar in bars_of(entry) if bar.parts not in known]
    return (*quarantines, *barred_by(entry, bars, unseen=True))
