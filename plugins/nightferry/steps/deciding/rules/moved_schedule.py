"""`schedule_moved`: the slot was over when the schedule was changed, so it is nobody's night.

When a schedule is moved from 22:00 to 02:00 at ten in the morning, Airflow finds the 02:00 of today that nobody has
served and starts it at once, in the middle of the day. A slot that is merely late, since Airflow was down, is served.
"""

from __future__ import annotations

import datetime as dt

from nightferry.entities.reason import Reason
from nightferry.steps.deciding.rules.question import Question, Word

LATE = dt.timedelta(minutes=30)
"""A slot that was meant by the schedule of its time is decided on sooner, unless Airflow was down."""


def moved_schedule(question: Question) -> Word | None:
    """Decline a slot that was over when the schedule began to name it."""
    slot, last = question.slot, question.last.service_spec if question.last else None
    if slot is None or last is None or last.schedule == question.spec.schedule or question.now - slot < LATE:
        return None
    then = slot.astimezone(question.spec.timezone)
    return Word(
        False,
        Reason.SCHEDULE_MOVED,
        f"The schedule was changed since the last decision, and {then:%Y-%m-%d %H:%M} was over by then: "
        "the next slot is the first of the new schedule.",
    )
