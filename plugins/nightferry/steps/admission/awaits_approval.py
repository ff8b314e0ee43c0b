"""`awaits_approval`: people have to say yes to this image first."""

from __future__ import annotations

import datetime as dt

from nightferry.clients.ledger_store import LedgerStore
from nightferry.entities.approvals.approval import approvals_in
from nightferry.entities.approvals.counted import Count, Terms, counted
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.entities.state.waiting import Waiting
from nightferry.steps.admission.admission import Admission, Stay
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import utc


def awaits_approval(admission: Admission) -> Stay | None:
    """Wait for people's answers; a no, or no answer in time, ends the release."""
    wanted, name = admission.environment.approvals, admission.environment.name
    terms = Terms.of(admission.decision, name, admission.image, admission.entries)
    if wanted is None or terms is None:
        return None
    until = terms.until
    count = counted(approvals_in(admission.entries, name), terms)
    if count.approved:
        return None
    if count.no:
        return Stay(Reason.DECLINED, declined(count.no.person, count.no.why), drop=True)
    if terms.blocked:
        return Stay(Reason.NOT_APPROVED, terms.blocked, drop=True)
    if until and dt.datetime.fromisoformat(until) <= admission.now:
        return Stay(Reason.APPROVAL_EXPIRED, expired(count.yes, terms, until), drop=True)
    end = until or utc(admission.now + dt.timedelta(seconds=wanted.within))
    sentence = (
        f"{admission.release} waits before {name} for {terms.needed} of {', '.join(terms.able)} to approve "
        f"{admission.image}; without that it is declined at {end}."
    )
    facts = {"needed": terms.needed, "approvers": list(terms.able), "requester": terms.requester}
    return Stay(Reason.AWAITS_APPROVAL, sentence, until=end, facts=facts)


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
    decision = Decision.model_validate(next(one.data for one in entries if one.kind == Kind.DECISION))
    terms = Terms.of(decision, name, waiting.image, entries)
    return terms, counted(approvals_in(entries, name), terms) if terms else None


def declined(person: str, why: str) -> str:
    """The ending of a release that somebody declined."""
    return f"{person} declined it" + (f": {why.strip().rstrip('.')}." if why.strip() else ".")


def expired(yes: tuple[str, ...], terms: Terms, until: str) -> str:
    """The ending of a release that too few approved in time."""
    said = f"{len(yes)} of {terms.needed}" + (f" ({', '.join(yes)})" if yes else "")
    return f"It was declined, since the time for approving it was over at {until}: {said} had approved."
