"""What a wall clock's time means on the days when the clocks change."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo


def begins_at(local: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The moment, in UTC, at which the zone's wall clocks first show a time; where they skip it, the moment at which
    they skip it, which is the next time that exists."""
    return _moment(local, zone, 0)


def ends_at(local: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """As `begins_at`, but the last such moment: of a time that is shown twice the second one, so that a window is never
    over while somebody who reads the clock would say that it still stands."""
    return _moment(local, zone, 1)


def scheduled_at(local: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The moment at which Airflow's timetable starts what its cron expression names as this time: the second one of
    two, and of a time that is skipped as much later as the clocks go forward."""
    moment = local.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)
    return moment if shown(moment, zone) == local else local.replace(tzinfo=zone, fold=0).astimezone(dt.UTC)


def shown(moment: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """What the zone's wall clocks show, as a time without zone."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def change_of(date: dt.date, zone: ZoneInfo) -> dt.timedelta:
    """By how much the clocks are set forward on this local day, or back where it is negative; zero on other days."""
    midnight = dt.datetime.combine(date, dt.time())
    before = begins_at(midnight, zone) - dt.timedelta(seconds=1)
    after = begins_at(midnight + dt.timedelta(days=1), zone) - dt.timedelta(seconds=1)
    return _offset(after, zone) - _offset(before, zone)


def _moment(local: dt.datetime, zone: ZoneInfo, fold: int) -> dt.datetime:
    moment = local.replace(tzinfo=zone, fold=fold).astimezone(dt.UTC)
    if shown(moment, zone) == local:
        return moment
    # Skipped: of the two readings one is before the change and one after it, so the change is between them.
    before, after = (local.replace(tzinfo=zone, fold=fold).astimezone(dt.UTC) for fold in (1, 0))
    new = _offset(after, zone)
    while after - before > dt.timedelta(seconds=1):
        middle = before + dt.timedelta(seconds=(after - before) // dt.timedelta(seconds=2))
        before, after = (before, middle) if _offset(middle, zone) == new else (middle, after)
    return after


def _offset(moment: dt.datetime, zone: ZoneInfo) -> dt.timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101 - every zone of the tz database has one
    return offset
