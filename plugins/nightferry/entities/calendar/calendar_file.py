"""The calendar file: one YAML file under dags/calendars says when nothing new is released, and who may except whom."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from nightferry.entities.calendar.window import During, Meets
from nightferry.entities.calendar.words import WEEKDAYS as DAYS
from nightferry.entities.frozen import Frozen

_TIME_OF_WEEK = re.compile(rf"({'|'.join(DAYS)})\s+(\d\d):(\d\d)")
_DURATION = re.compile(r"(\d{1,4})(h|m)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
LONGEST_EXCEPTION = dt.timedelta(hours=48)
_YEARS = range(2000, 2200)


def _date(value: object) -> object:
    if isinstance(value, str) and _DATE.fullmatch(value):
        value = dt.date.fromisoformat(value)
    if type(value) is not dt.date or value.year not in _YEARS:
        raise ValueError(f"a date is written like 2026-12-24, not {value!r}")
    return value


def _minutes_of_week(value: object) -> object:
    """Minutes since Monday's midnight; 24:00 is the midnight after."""
    found = _TIME_OF_WEEK.fullmatch(value.strip()) if isinstance(value, str) else None
    minutes = int(found[2]) * 60 + int(found[3]) if found else -1
    if not found or int(found[3]) > 59 or minutes > 24 * 60:
        raise ValueError(f"a time of the week is written like Fri 16:00, with {', '.join(DAYS)}, not {value!r}")
    return (DAYS.index(found[1]) * 24 * 60 + minutes) % (7 * 24 * 60)


def _duration(value: object) -> object:
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found:
        raise ValueError(f"a duration is written like 12h or 90m, not {value!r}")
    return dt.timedelta(hours=int(found[1])) if found[2] == "h" else dt.timedelta(minutes=int(found[1]))


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as fault:
        raise ValueError(f"unknown time zone {name!r}; use a name like Europe/Zurich") from fault
    return name


def person(name: str) -> str:
    """A person's name as it is compared: `Ada` and `ada ` are one person."""
    return " ".join(name.split()).casefold()


Date = Annotated[dt.date, BeforeValidator(_date)]
MinuteOfWeek = Annotated[int, BeforeValidator(_minutes_of_week)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class Dates(Frozen):
    """From the first day's midnight to the end of the last one."""

    first: Date = Field(alias="from")
    last: Date = Field(alias="to")

    @model_validator(mode="after")
    def _not_empty(self) -> Dates:
        if self.last < self.first:
            raise ValueError(f"the window is empty: {self.last} is before {self.first}")
        return self


class Weekly(Frozen):
    """From a time of the week to another one."""

    begin: MinuteOfWeek = Field(alias="from")
    end: MinuteOfWeek = Field(alias="to")

    @model_validator(mode="after")
    def _not_empty(self) -> Weekly:
        if self.begin == self.end:
            raise ValueError("the window is empty: it ends when it begins")
        return self


class MonthEnd(Frozen):
    """From the midnight that begins the last days of a month to the end of a day of the next one."""

    last: int = Field(ge=0, le=28, strict=True)
    """How many days of the month; 0: it begins with the next one."""
    days: Literal["calendar", "working"] = "calendar"
    """Which days `last` counts; working ones are Monday to Friday, without the country's holidays if one is named."""
    until: int = Field(ge=0, le=28, strict=True)
    """The last day of the next month that is in it; 0: it ends with the month."""
    country: Country | None = None
    subdivision: Text | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> MonthEnd:
        if not self.last and not self.until:
            raise ValueError("the window is empty: it has no day of either month")
        if self.days == "working" and self.last > 15:
            raise ValueError("last: a month may have no more than 15 working days, over which holidays are spread")
        if self.subdivision and not self.country:
            raise ValueError("subdivision: of which country?")
        return self


class Holidays(Frozen):
    """Every public holiday of a country, from midnight to midnight."""

    country: Country
    """ISO 3166-1, as CH."""
    subdivision: Text | None = None
    """ISO 3166-2 without the country, as ZH; without it, what the whole country has."""


class WindowRule(Frozen):
    """What one entry of `windows` says."""

    name: Text
    reason: Text
    zone: Annotated[str, AfterValidator(_zone)]
    meets: Meets = "wait"
    during: During = "finish"
    dates: Dates | None = None
    weekly: Weekly | None = None
    month_end: MonthEnd | None = None
    holidays: Holidays | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> WindowRule:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"one of {', '.join(KINDS)} is wanted, not {' and '.join(given) or 'none'}")
        return self

    @property
    def country(self) -> tuple[str, str | None] | None:
        """The country and subdivision whose holidays it counts."""
        of = self.holidays or self.month_end
        return (of.country, of.subdivision) if of and of.country else None


KINDS = ("dates", "weekly", "month_end", "holidays")


class Excepting(Frozen):
    """Who may let a release through a window, and for how long."""

    longest: Annotated[dt.timedelta, BeforeValidator(_duration)]
    by: tuple[Text, ...] = Field(min_length=2, max_length=100)
    """The persons of whom one asks and another one confirms."""

    @model_validator(mode="after")
    def _sound(self) -> Excepting:
        if not dt.timedelta() < self.longest <= LONGEST_EXCEPTION:
            raise ValueError(
                f"longest: more than 0 and at most {LONGEST_EXCEPTION // dt.timedelta(hours=1)}h is wanted"
            )
        twice = [name for name, count in Counter(map(person, self.by)).items() if count > 1]
        if twice:
            raise ValueError(f"by: {twice[0]} is named twice; two persons are needed")
        return self

    def may(self, name: str) -> bool:
        """Whether a person is among them."""
        return person(name) in map(person, self.by)


class CalendarFile(Frozen):
    """A whole calendar file."""

    description: str = ""
    exception: Excepting | None = None
    """None: there are no exceptions."""
    windows: tuple[WindowRule, ...] = Field(max_length=200)

    @model_validator(mode="after")
    def _names(self) -> CalendarFile:
        twice = [name for name, count in Counter(rule.name for rule in self.windows).items() if count > 1]
        if twice:
            raise ValueError(f"windows: two are called {twice[0]!r}; give each a name of its own")
        return self
