"""`frozen`: a window of the calendar stands that drops releases. One that has them wait is met later, before the first
environment: by then everything is built and tested."""

from __future__ import annotations

from nightferry.entities.calendar.barring import barring
from nightferry.entities.calendar.words import said
from nightferry.entities.reason import Reason
from nightferry.steps.deciding.rules.question import Question, Word


def frozen(question: Question) -> Word | None:
    """Decline while such a window stands, whoever asks, unless an exception stands too."""
    calendar = question.calendar
    if calendar is None:
        return None
    windows = barring(calendar, question.now, question.state.exceptions)
    if not any(window.meets == "drop" for window in windows):
        return None
    sentence = said(windows, calendar.opens(question.now), question.spec.timezone)
    return Word(False, Reason.FROZEN, f"{sentence} What would be released now is dropped.")
