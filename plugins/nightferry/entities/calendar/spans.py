"""The local times from which and to which each kind of window lasts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping

from nightferry.entities.calendar.calendar_file import MonthEnd, Weekly, WindowRule

HolidaysOf = Callable[[str, str | None, int], Mapping[dt.date, str]]
"""A country's public holidays of a year, with their names: `holidays_of("CH", "ZH", 2026)`."""
Span = tuple[dt.datetime, dt.datetime, str]
"""Begin and end on the wall clock, and what is to be said beside the window's reason."""
DAY = dt.timedelta(days=1)


def spans_of(rule: WindowRule, first: dt.date, last: dt.date, holidays_of: HolidaysOf) -> Iterator[Span]:
    """The spans of a rule that may meet these local days; one that does not meet them may be among them."""
    if rule.dates:
        yield _midnight(rule.dates.first), _midnight(rule.dates.last + DAY), ""
    elif rule.weekly:
        yield from _weekly(rule.weekly, first, last)
    elif rule.month_end:
        yield from _month_ends(rule.month_end, first, last, holidays_of)
    elif rule.holidays:
        for year in range(first.year, last.year + 1):
            named = holidays_of(rule.holidays.country, rule.holidays.subdivision, year)
            for date, name in sorted(named.items()):
                if first <= date <= last:
                    yield _midnight(date), _midnight(date + DAY), name


def _weekly(weekly: Weekly, first: dt.date, last: dt.date) -> Iterator[Span]:
    begin, end = (dt.timedelta(minutes=minutes) for minutes in (weekly.begin, weekly.end))
    monday = first - dt.timedelta(days=first.weekday() + 7)
    while monday <= last:
        midnight = _midnight(monday)
        yield midnight + begin, midnight + end + (7 * DAY if end < begin else dt.timedelta()), ""
        monday += 7 * DAY


def _month_ends(rule: MonthEnd, first: dt.date, last: dt.date, holidays_of: HolidaysOf) -> Iterator[Span]:
    month = (first.replace(day=1) - DAY).replace(day=1)  # the month before may reach into these days
    while month <= last:
        following = (month + 31 * DAY).replace(day=1)
        yield _midnight(_begin(rule, following, holidays_of)), _midnight(following + rule.until * DAY), ""
        month = following


def _begin(rule: MonthEnd, following: dt.date, holidays_of: HolidaysOf) -> dt.date:
    """The first of the last days before the first of a month."""
    date, left = following, rule.last
    while left:
        date -= DAY
        if rule.days == "calendar" or (date.weekday() < 5 and not _holiday(rule, date, holidays_of)):
            left -= 1
    return date


def _holiday(rule: MonthEnd, date: dt.date, holidays_of: HolidaysOf) -> bool:
    return rule.country is not None and date in holidays_of(rule.country, rule.subdivision, date.year)


def _midnight(date: dt.date) -> dt.datetime:
    return dt.datetime.combine(date, dt.time())
