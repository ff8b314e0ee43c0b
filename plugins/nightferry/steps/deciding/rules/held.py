"""`held`: a person barred the service, or everything, from new releases."""

from __future__ import annotations

from nightferry.entities.barring.hold import said
from nightferry.entities.reason import Reason
from nightferry.steps.deciding.rules.question import Question, Word


def held(question: Question) -> Word | None:
    """Decline while a hold stands, whoever asks."""
    standing = [hold for hold in question.holds if hold.stands(question.now)]
    if not standing:
        return None
    return Word(False, Reason.HELD, " ".join(said(hold, question.spec.service) for hold in standing))
