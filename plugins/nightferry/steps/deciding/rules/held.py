"""`held`: a person barred the service, or everything, from new releases."""

from __future__ import annotations

from nightferry.entities.barring.hold import Hold
from nightferry.entities.reason import Reason
from nightferry.steps.deciding.rules.question import Question, Word


def held(question: Question) -> Word | None:
    """Decline while a hold stands, whoever asks."""
    standing = [hold for hold in question.holds if hold.stands(question.now)]
    if not standing:
        return None
    return Word(False, Reason.HELD, " ".join(_said(hold, question) for hold in standing))


def _said(hold: Hold, question: Question) -> str:
    what = "Everything is" if hold.everything else f"{question.spec.service} is"
    until = f" until {hold.until}" if hold.until else ""
    return f"{what} held{until} by {hold.actor}: {hold.why.rstrip('.')}."
