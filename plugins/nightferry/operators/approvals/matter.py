"""What a run that asks people is about, read from the record."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from nightferry.entities.approvals.approval import approvals_in
from nightferry.entities.approvals.counted import Count, Terms, counted
from nightferry.entities.approvals.runs import run_of
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.state.waiting import waits
from nightferry.errors import Permanent
from nightferry.hooks.storage import StorageHook
from nightferry.steps.approvals.record_answer import terms_of
from nightferry.steps.record.history import decision_in, release_entries


@dataclass(frozen=True)
class Matter:
    """A release before an environment, and what people answered so far."""

    decision: Decision
    environment: str
    entries: list[LedgerEntry]
    terms: Terms
    count: Count

    @property
    def release(self) -> str:
        """Its name."""
        return str(self.decision.release)

    def over(self, now: dt.datetime) -> str:
        """Why nobody is asked any more; empty where somebody is."""
        until = self.terms.until
        if self.count.no:
            return f"{self.count.no.person} declined {self.release}."
        if self.count.approved:
            return f"{self.release} is approved by {', '.join(self.count.yes)}."
        if not waits(self.entries):
            return f"{self.release} does not wait any more."
        if self.terms.blocked:
            return self.terms.blocked
        if until is None or dt.datetime.fromisoformat(until) <= now:
            return f"The time for approving {self.release} was over at {until}."
        return ""


def matter_of(run: Any, service: str, storage_conn_id: str) -> Matter:
    """What the run is about.

    Raises:
        Permanent: (request_invalid) somebody started it by hand: only the run that the release's own run started asks,
            so that nobody can be asked twice about one thing. And as `terms_of`.
    """
    conf = run.conf or {}
    release, environment = str(conf.get("release", "")), str(conf.get("environment", ""))
    entries = release_entries(StorageHook(storage_conn_id).ledger_store(), release)
    decision, terms = decision_in(entries), terms_of(entries, environment)
    if decision.service != service or run.run_id != run_of(release, environment, terms.image):
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"The run {run.run_id} was started by hand. About {release} people are asked in the run "
            f"{run_of(release, environment, terms.image)} of approve_{decision.service}; clear its tasks if need be.",
        )
    return Matter(decision, environment, entries, terms, counted(approvals_in(entries, environment), terms))
