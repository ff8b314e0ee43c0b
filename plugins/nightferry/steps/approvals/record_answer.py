"""Write a person's answer on the record, and whether it counts."""

from __future__ import annotations

from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.approvals.approval import Answer, approvals_in, step_in
from nightferry.entities.approvals.counted import Terms, counted, refusal
from nightferry.entities.barring.quarantine import Bar, Parts, words_for
from nightferry.entities.decision import Decision
from nightferry.entities.fact_key import FactKey
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.state.waiting import waits
from nightferry.errors import Permanent
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.history import decision_in, release_entries
from nightferry.steps.rollout.read_plan import read_plan


def terms_of(entries: list[LedgerEntry], environment: str) -> Terms:
    """What a release's yes has to be in an environment, by its entries alone.

    Raises:
        Permanent: (request_invalid) nobody is asked for this release there. And as `read_plan`.
    """
    decision = decision_in(entries)
    image = read_plan(entries, environment).image
    terms = Terms.of(decision, environment, image, entries)
    if terms is None:
        raise Permanent(Reason.REQUEST_INVALID, f"Nobody has to approve {decision.release} for {environment}.")
    return terms


def record_answer(ledger: LedgerStore, clock: Clock, release: str, environment: str, answer: Answer) -> LedgerEntry:
    """Write the answer; once, however often it is written. What does not count is written down with its reason.

    Raises as `terms_of` and `append_with`.
    """
    service = decision_in(release_entries(ledger, release)).service

    def make(chain: ledgers.Chain) -> LedgerEntry | dict[str, Any]:
        entries = release_entries(ledger, release)
        told = [one for one in entries if one.kind == Kind.APPROVAL and "person" in one.data]
        for one in told:
            if Answer.model_validate(one.data) == answer:
                return one
        decision, terms = decision_in(entries), terms_of(entries, environment)
        before = counted(approvals_in(entries, environment), terms)
        why = refusal(answer, terms, before.yes)
        if before.no is not None:
            why = f"{before.no.person} declined before, and that is final"
        elif not waits(entries):
            why = f"{release} does not wait any more"
        reason = Reason.NOT_COUNTED if why else Reason.APPROVED if answer.yes else Reason.DECLINED
        number = sum(one.data.get("environment") == environment for one in told) + 1
        data = answer.to_json() | {"environment": environment, "counts": not why}
        if reason == Reason.DECLINED:
            data["bars"] = [_bar(decision).to_json()]
        return {
            "kind": Kind.APPROVAL,
            "key": str(FactKey(release, step_in(environment), attempt=number)),
            "release": release,
            "actor": answer.person,
            "reason": reason,
            "sentence": _sentence(release, environment, answer, why),
            "data": data,
        }

    return ledgers.append_with(ledger, clock, service, make)


def _bar(decision: Decision) -> Bar:
    """What of a release makes its image: that is not released again unless somebody asks for it."""
    whole = Parts.of(decision.candidate, None)
    return Bar(parts=whole, words=words_for(whole, decision.candidate))


def _sentence(release: str, environment: str, answer: Answer, why: str) -> str:
    said = "approved" if answer.yes else "declined"
    reason = f": {answer.why.strip().rstrip('.')}." if answer.why.strip() else "."
    if why:
        return f"{answer.person} {said} {release} for {environment}, which does not count: {why}."
    return f"{answer.person} {said} {release} for {environment}{reason}"
