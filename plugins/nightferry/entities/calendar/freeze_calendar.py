"""When nothing new is released: the windows of a calendar as moments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo

from nightferry.entities.calendar.calendar_file import CalendarFile, WindowRule
from nightferry.entities.calendar.local_time import begins_at, ends_at
from nightferry.entities.calendar.spans import DAY, HolidaysOf, spans_of
from nightferry.entities.calendar.window import Window

FURTHEST = 3660 * DAY
"""A calendar that does not open within these ten years never does."""
_REFERENCE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Calendar:
    """A calendar's windows. Every moment, given or returned, is aware; those returned are in UTC."""

    def __init__(self, name: str, file: CalendarFile, holidays_of: HolidaysOf) -> None:
        """Make it of its file; nothing is looked up until it is asked.

        Args:
            name: the file's name without `.yaml`.
            file: what the file says.
            holidays_of: the public holidays of countries.
        """
        self.name = name
        self.file = file
        self._holidays_of = holidays_of

    def windows(self, begin: dt.datetime, end: dt.datetime) -> list[Window]:
        """Every window that meets [begin, end), whole, each by itself, in the order in which they begin."""
        found = (window for rule in self.file.windows for window in self._of(rule, begin, end))
        return sorted(found, key=lambda window: (window.begin, window.end, window.name))

    def at(self, moment: dt.datetime) -> list[Window]:
        """Every window that stands at the moment, in the order in which they began."""
        return self.windows(moment, moment + dt.timedelta(microseconds=1))

    def standing(self, moment: dt.datetime) -> Window | None:
        """The window that bars most at the moment: one that drops releases before others, then the one that lasts
        longest."""
        return max(self.at(moment), key=lambda window: (window.meets == "drop", window.end), default=None)

    def opens(self, moment: dt.datetime) -> dt.datetime | None:
        """The first moment from this one on at which no window stands; windows that overlap or adjoin are one.

        None: not within ten years. Such a calendar is refused when it is read.
        """
        now = moment.astimezone(dt.UTC)
        while standing := self.at(now):
            now = max(window.end for window in standing)
            if now - moment > FURTHEST:
                return None
        return now

    def never_opens(self) -> bool:
        """Whether its windows leave no time between them, at whatever time one asks."""
        if any(rule.holidays for rule in self.file.windows):  # they leave time by themselves, and are slow to look up
            rules = tuple(rule for rule in self.file.windows if not rule.holidays)
            return Calendar(self.name, self.file.model_copy(update={"windows": rules}), self._holidays_of).never_opens()
        moments = [_REFERENCE, *(window.begin for rule in self.file.windows for window in self._dated(rule))]
        return any(self.opens(moment) is None for moment in moments)

    def _dated(self, rule: WindowRule) -> Iterable[Window]:
        return (
            [self._window(rule, *span) for span in spans_of(rule, dt.date.max, dt.date.max, self._holidays_of)]
            if (rule.dates)
            else []
        )

    def _of(self, rule: WindowRule, begin: dt.datetime, end: dt.datetime) -> Iterable[Window]:
        zone = ZoneInfo(rule.zone)
        # A local day may be missing altogether, so a day more is looked at on either side.
        first, last = begin.astimezone(zone).date() - DAY, end.astimezone(zone).date() + DAY
        for span in spans_of(rule, first, last, self._holidays_of):
            window = self._window(rule, *span)
            if window.begin < end and begin < window.end and window.begin < window.end:
                yield window

    def _window(self, rule: WindowRule, begin: dt.datetime, end: dt.datetime, also: str) -> Window:
        zone = ZoneInfo(rule.zone)
        reason = f"{rule.reason} ({also})" if also else rule.reason
        return Window(begins_at(begin, zone), ends_at(end, zone), rule.name, reason, rule.zone, rule.meets, rule.during)
