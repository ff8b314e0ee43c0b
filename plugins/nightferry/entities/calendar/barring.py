"""Which windows bar a release: what `decide`, the admission and `nightferry calendar` agree on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from nightferry.entities.calendar.freeze_calendar import Calendar
from nightferry.entities.calendar.window import Window
from nightferry.entities.state.exception import FreezeException


def barring(
    calendar: Calendar, moment: dt.datetime, exceptions: Sequence[FreezeException], since: dt.datetime | None = None
) -> list[Window]:
    """The windows that a release may not pass at a moment.

    Args:
        calendar: the service's.
        moment: when it would go on.
        exceptions: the service's; while one stands, nothing bars.
        since: when the release was set going; None: it is set going at this moment. A window that lets what is under
            way finish does not bar what was set going before it began.
    """
    if any(one.stands(moment) for one in exceptions):
        return []
    return [
        window for window in calendar.at(moment) if window.during == "stop" or since is None or since >= window.begin
    ]
