"""`held`: a release that waited, or had ended, is not gone on with while a hold stands."""

from __future__ import annotations

from nightferry.entities.barring.hold import said
from nightferry.entities.reason import Reason
from nightferry.steps.admission.admission import Admission, Stay


def held(admission: Admission) -> Stay | None:
    """Wait for the end of every hold. What is under way when somebody holds the service is not stopped."""
    standing = [hold for hold in admission.holds if hold.stands(admission.now)]
    if not standing or not (admission.decision.continued or admission.taken_up):
        return None
    ends = [hold.until for hold in standing]
    until = max(end for end in ends if end) if all(ends) else None
    return Stay(Reason.HELD, " ".join(said(hold, admission.spec.service) for hold in standing), until=until)
