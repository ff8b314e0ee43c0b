"""`awaits_approval`: people have to say yes to this image first."""

from __future__ import annotations

import datetime as dt

from nightferry.entities.approvals.approval import approvals_in
from nightferry.entities.approvals.counted import Terms, counted
from nightferry.entities.reason import Reason
from nightferry.steps.admission.admission import Admission, Stay
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


def declined(person: str, why: str) -> str:
    """The ending of a release that somebody declined."""
    return f"{person} declined it" + (f": {why.strip().rstrip('.')}." if why.strip() else ".")


def expired(yes: tuple[str, ...], terms: Terms, until: str) -> str:
    """The ending of a release that too few approved in time."""
    said = f"{len(yes)} of {terms.needed}" + (f" ({', '.join(yes)})" if yes else "")
    return f"It was declined, since the time for approving it was over at {until}: {said} had approved."
