"""Windows over changes of the clocks, against an oracle that looks at a wall clock minute by minute."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from nightferry.entities.calendar.calendar_file import DAYS, CalendarFile
from nightferry.entities.calendar.freeze_calendar import Calendar
from nightferry.entities.calendar.local_time import begins_at, ends_at

MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)
SPAN = 10
"""So many days are looked at, from so many days before a change of the clocks."""
AROUND = {
    "Europe/Zurich": ["2026-03-29", "2026-10-25", "2027-01-01"],
    "America/New_York": ["2026-03-08", "2026-11-01", "2024-02-29"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],  # by half an hour
    "Africa/Casablanca": ["2026-02-15", "2026-03-22"],  # back for Ramadan alone
    "Pacific/Apia": ["2011-12-30", "2012-04-01"],  # a day that never was
    "America/Santiago": ["2026-04-05", "2026-09-06"],  # at midnight
    "Asia/Kolkata": ["2026-05-01"],
}
HOLIDAYS = {(month, day) for month in range(1, 13) for day in (1, 6, 25, 30)}


def holidays_of(country: str, subdivision: str | None, year: int) -> dict[dt.date, str]:
    found = {}
    for month, day in HOLIDAYS:
        if not (month == 2 and day == 30):
            found[dt.date(year, month, day)] = "a day off"
    return found


def calendar(*rules: dict[str, Any]) -> Calendar:
    common = {"reason": "because", "zone": "Europe/Zurich"}
    windows = [{"name": f"rule {number}", **common, **rule} for number, rule in enumerate(rules)]
    return Calendar("test", CalendarFile.model_validate({"windows": windows}), holidays_of)


# --- the oracle: it knows no interval arithmetic, only what a wall clock shows in each minute


class Oracle:
    """What a wall clock shows in every minute of some days."""

    def __init__(self, zone: str, day: str) -> None:
        middle = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
        self.begin, self.end = middle - SPAN // 2 * DAY, middle + SPAN // 2 * DAY
        # More days on both sides, so that windows that begin before or end after are whole.
        first, last = self.begin - 9 * DAY, self.end + 9 * DAY
        self.minutes = [first + number * MINUTE for number in range(int((last - first) / MINUTE))]
        walls = [minute.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0) for minute in self.minutes]
        self.latest, self.soonest = walls[:], walls[:]
        for number in range(1, len(walls)):
            self.latest[number] = max(walls[number], self.latest[number - 1])
        for number in range(len(walls) - 2, -1, -1):
            self.soonest[number] = min(walls[number], self.soonest[number + 1])
        self.dates = sorted({wall.date() for wall in walls} | {dt.date.fromisoformat(day)})

    def frozen(self, rules: list[dict[str, Any]]) -> list[bool]:
        """A window has begun once a clock has shown its begin or more, and stands while one will show less than its
        end again."""
        spans = [span for rule in rules for span in self._spans(rule)]
        state = [False] * len(self.minutes)
        for begin, end in spans:
            # Both lists only rise, so the minutes with latest >= begin and soonest < end are those between.
            for number in range(bisect_left(self.latest, begin), bisect_left(self.soonest, end)):
                state[number] = True
        return state

    def _spans(self, rule: dict[str, Any]) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        if "weekly" in rule:
            yield from self._weekly(rule["weekly"])
            return
        for date in self.dates:
            if PREDICATES[next(kind for kind in PREDICATES if kind in rule)](rule, date):
                midnight = dt.datetime.combine(date, dt.time())
                yield midnight, midnight + DAY

    def _weekly(self, weekly: dict[str, str]) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        for date in self.dates:
            if DAYS[date.weekday()] == weekly["from"][:3]:
                time = dt.time.fromisoformat(weekly["from"][4:])
                begin = end = dt.datetime.combine(date, time)
                while f"{DAYS[end.weekday()]} {end:%H:%M}" != weekly["to"]:
                    end += MINUTE
                yield begin, end


def _dated(rule: dict[str, Any], date: dt.date) -> bool:
    return rule["dates"]["from"] <= date.isoformat() <= rule["dates"]["to"]


def _month_end(rule: dict[str, Any], date: dt.date) -> bool:
    says = rule["month_end"]
    if date.day <= says["until"]:
        return True
    left, day = 0, date + DAY
    while day.month == date.month:
        off = says["days"] == "working" and (day.weekday() >= 5 or (day.month, day.day) in HOLIDAYS)
        left, day = left + (not off), day + DAY
    return left < says["last"]


def _holiday(rule: dict[str, Any], date: dt.date) -> bool:
    return (date.month, date.day) in HOLIDAYS


PREDICATES: dict[str, Callable[[dict[str, Any], dt.date], bool]] = {
    "dates": _dated,
    "month_end": _month_end,
    "holidays": _holiday,
}


@cache
def oracle(zone: str, day: str) -> Oracle:
    return Oracle(zone, day)


# --- rules that come near the change of the clocks


@some.composite
def cases(draw: some.DrawFn) -> tuple[str, str, list[dict[str, Any]]]:
    zone = draw(some.sampled_from(sorted(AROUND)))
    day = draw(some.sampled_from(AROUND[zone]))
    rules = draw(some.lists(some.one_of(weekly(), dated(day), month_end(), some.just(HOLIDAY)), min_size=1, max_size=3))
    return zone, day, [{**rule, "zone": zone} for rule in rules]


HOLIDAY = {"holidays": {"country": "CH"}}


@some.composite
def weekly(draw: some.DrawFn) -> dict[str, Any]:
    hours = some.sampled_from(
        ["00:00", "00:30", "01:00", "01:59", "02:00", "02:15", "02:30", "03:00", "03:01", "23:59"]
    )
    times = some.builds(lambda day, hour: f"{day} {hour}", some.sampled_from(DAYS), hours)
    begin = draw(times)
    return {"weekly": {"from": begin, "to": draw(times.filter(lambda end: end != begin))}}


@some.composite
def dated(draw: some.DrawFn, day: str) -> dict[str, Any]:
    first = dt.date.fromisoformat(day) + draw(some.integers(-3, 2)) * DAY
    return {"dates": {"from": first.isoformat(), "to": (first + draw(some.integers(0, 3)) * DAY).isoformat()}}


@some.composite
def month_end(draw: some.DrawFn) -> dict[str, Any]:
    days = draw(some.sampled_from(["calendar", "working"]))
    last, until = draw(some.integers(0, 6)), draw(some.integers(0, 6))
    return {"month_end": {"last": last, "days": days, "until": max(until, int(not last)), "country": "CH"}}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases())
def test_windows_are_what_a_wall_clock_shows_minute_by_minute(case: tuple[str, str, list[dict[str, Any]]]) -> None:
    zone, day, rules = case
    seen, told = oracle(zone, day), calendar(*rules)
    frozen = seen.frozen(rules)
    windows = told.windows(seen.begin, seen.end)

    in_windows = [False] * len(frozen)
    for window in windows:
        assert window.begin < window.end
        for number in range(
            max(0, int((window.begin - seen.minutes[0]) / MINUTE)),
            min(len(frozen), int((window.end - seen.minutes[0]) / MINUTE)),
        ):
            in_windows[number] = True
    first, last = (int((moment - seen.minutes[0]) / MINUTE) for moment in (seen.begin, seen.end))
    wrong = [seen.minutes[n] for n in range(first, last) if frozen[n] != in_windows[n]]
    assert wrong == []

    edges = {edge for window in windows for edge in (window.begin, window.end)}
    for moment in {moment for edge in edges for moment in (edge - MINUTE, edge)} | {seen.begin}:
        number = int((moment - seen.minutes[0]) / MINUTE)
        if not first <= number < last:
            continue
        assert (told.standing(moment) is not None) == frozen[number], moment
        opens = next((n for n in range(number, len(frozen)) if not frozen[n]), None)
        if opens is not None and seen.minutes[opens] < seen.end:
            assert told.opens(moment) == seen.minutes[opens]


@pytest.mark.parametrize(
    ("zone", "local", "begins", "ends"),
    [
        pytest.param("Europe/Zurich", "2026-03-29T02:30", "01:00", "01:00", id="skipped: the next that exists"),
        pytest.param("Europe/Zurich", "2026-10-25T02:30", "00:30", "01:30", id="twice: from the first, to the second"),
        pytest.param("Australia/Lord_Howe", "2026-10-04T02:15", "15:30", "15:30", id="half an hour skipped"),
        pytest.param("Australia/Lord_Howe", "2026-04-05T01:45", "14:45", "15:15", id="half an hour twice"),
        pytest.param("Pacific/Apia", "2011-12-30T12:00", "10:00", "10:00", id="a day that never was"),
        pytest.param("America/Santiago", "2026-09-06T00:00", "04:00", "04:00", id="a midnight that never was"),
    ],
)
def test_a_time_that_is_skipped_or_shown_twice(zone: str, local: str, begins: str, ends: str) -> None:
    time, there = dt.datetime.fromisoformat(local), ZoneInfo(zone)
    assert [f"{moment(time, there):%H:%M}" for moment in (begins_at, ends_at)] == [begins, ends]


def test_windows_that_overlap_or_adjoin_open_together() -> None:
    told = calendar(
        {"dates": {"from": "2026-12-01", "to": "2026-12-02"}},
        {"dates": {"from": "2026-12-03", "to": "2026-12-04"}},
        {"dates": {"from": "2026-12-04", "to": "2026-12-06"}},
    )
    moment = dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)
    assert told.opens(moment) == dt.datetime(2026, 12, 6, 23, tzinfo=dt.UTC)
    opened = dt.datetime(2026, 12, 6, 23, tzinfo=dt.UTC)
    assert (told.standing(opened), told.opens(opened)) == (None, opened)


def test_what_drops_releases_bars_more_than_what_lasts_longer() -> None:
    told = calendar(
        {"dates": {"from": "2026-12-01", "to": "2026-12-20"}},
        {"dates": {"from": "2026-12-01", "to": "2026-12-02"}, "meets": "drop"},
    )
    standing = told.standing(dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC))
    assert standing is not None
    assert standing.name == "rule 1"
