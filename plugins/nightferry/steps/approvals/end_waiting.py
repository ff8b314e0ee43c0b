"""End a release that people said no to, or that too few answered in time."""

from __future__ import annotations

import datetime as dt

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.approvals.approval import approvals_in
from nightferry.entities.approvals.counted import counted
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.state.waiting import waits
from nightferry.steps.admission.awaits_approval import declined, expired
from nightferry.steps.approvals.record_answer import terms_of
from nightferry.steps.record.drop_release import drop
from nightferry.steps.record.history import decision_in, release_entries


def end_waiting(ledger: LedgerStore, clock: Clock, release: str, environment: str) -> LedgerEntry | None:
    """Close a release about which nobody is asked any more, unless the record's answers approve it; None where they
    do, or where it has ended already. Raises as `drop` and `terms_of`."""
    entries = release_entries(ledger, release)
    if not waits(entries):
        return None
    terms = terms_of(entries, environment)
    count = counted(approvals_in(entries, environment), terms)
    if count.approved:
        return None
    if count.no:
        reason, sentence, actor = Reason.DECLINED, declined(count.no.person, count.no.why), count.no.person
    elif terms.until and dt.datetime.fromisoformat(terms.until) <= clock.now():
        reason, sentence, actor = Reason.APPROVAL_EXPIRED, expired(count.yes, terms, terms.until), None
    else:  # every question was ended without an answer that counts: somebody marked them as done, or they failed
        said = f"{len(count.yes)} of {terms.needed} had approved it when its questions were ended in Airflow"
        reason, sentence, actor = Reason.NOT_APPROVED, f"{said}; what counts is what people answered.", None
    decision = decision_in(entries)
    return drop(ledger, clock, decision, environment, reason=reason, sentence=sentence, actor=actor)
