"""`published`: it was asked for no more than an image that is ready."""

from __future__ import annotations

from nightferry.entities.reason import Reason
from nightferry.steps.admission.admission import Admission, Stay


def until_published(admission: Admission) -> Stay | None:
    """Wait until somebody, or the schedule, asks to go on."""
    decision = admission.decision
    if decision.request.until is None or decision.continued:
        return None
    spec = admission.spec
    nightly = spec.triggers.builds and spec.schedule is not None
    next_step = "the schedule releases it" if nightly else f"nightferry release {spec.service} releases it"
    sentence = f"{admission.release} is built, tested and published: {next_step}."
    return Stay(Reason.PUBLISHED, sentence)
