"""The coming moments of a service's schedule, as Airflow's CronTriggerTimetable has them.

Airflow reads the cron expression on the wall clock: it takes the next time that the expression names after what the
clock shows, and makes a moment of it. Where the expression names every hour it adds the difference instead, so that no
hour of a repeated one is left out. This is the same arithmetic without Airflow, which a laptop has not got; a test
drives the real timetable beside it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from nightferry.entities.calendar.local_time import scheduled_at, shown
from nightferry.entities.service_spec import ServiceSpec

_BEFORE = dt.timedelta(days=2)
"""Airflow goes on from the slot before, and not from now: within a repeated hour that makes a difference."""


def nights(spec: ServiceSpec, begin: dt.datetime, end: dt.datetime) -> Iterator[dt.datetime]:
    """The moments after `begin` and before `end` at which the schedule starts a run, in UTC."""
    from croniter import croniter

    if spec.schedule is None:
        return
    moment, zone = (begin - _BEFORE).astimezone(dt.UTC), spec.timezone
    cron = croniter(spec.schedule.cron)
    hourly = cron.expanded[1] == ["*"]
    while True:
        local = shown(moment, zone)
        following: dt.datetime = cron.get_next(dt.datetime, start_time=local)
        moment = moment + (following - local) if hourly else scheduled_at(following, zone)
        if moment >= end:
            return
        if moment > begin:
            yield moment
