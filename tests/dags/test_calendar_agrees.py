"""`nightferry calendar` says what Airflow's own timetable, the rules and the admission then do."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from nightferry.entities.calendar.calendar_file import CalendarFile
from nightferry.entities.calendar.freeze_calendar import Calendar
from nightferry.entities.calendar.nights import nights
from nightferry.entities.calendar.outlook import outlook
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.service_state import ServiceState
from nightferry.steps.admission.admission import Admission
from nightferry.steps.admission.frozen import frozen, has_opened
from nightferry.steps.services.load_calendars import read_calendar

from tests.dags.conftest import ROOT
from tests.fakes.a_release import a_decision, a_spec

BEGIN = dt.datetime(2026, 2, 1, 12, tzinfo=dt.UTC)
DAYS = dt.timedelta(days=400)
ZONES = ("Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca")
CRONS = {"0 2 * * *": "at a time that is twice or never", "30 2 * * *": "in the middle of it", "0 1 * * *": "at one"}


def airflows(cron: str, zone: str, begin: dt.datetime, end: dt.datetime) -> list[dt.datetime]:
    """The moments at which the scheduler starts a run, each asked for after the one before, as it does."""
    from airflow.sdk import CronTriggerTimetable
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    timetable = coerce_to_core_timetable(CronTriggerTimetable(cron, timezone=zone, run_immediately=dt.timedelta(0)))
    found: list[Any] = []
    import pendulum

    restriction = TimeRestriction(earliest=pendulum.instance(begin), latest=None, catchup=True)
    while True:
        last = found[-1].data_interval if found else None
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        if info.run_after >= end:
            return [dt.datetime.fromisoformat(one.run_after.isoformat()) for one in found if one.run_after > begin]
        found.append(info)


def spec_with(cron: str, zone: str) -> ServiceSpec:
    return ServiceSpec.model_validate(a_spec().to_json() | {"schedule": {"cron": cron, "timezone": zone}})


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", [*CRONS, "*/30 * * * *", "15 1,2 * * *", "0 0 * * 1-5", "0 2 31 * *"])
def test_the_nights_are_those_of_airflows_timetable(cron: str, zone: str) -> None:
    end = BEGIN + (dt.timedelta(days=70) if cron.startswith("*/") else DAYS)
    assert list(nights(spec_with(cron, zone), BEGIN, end)) == airflows(cron, zone, BEGIN, end)


@pytest.mark.parametrize("now", ["2026-10-25T00:15", "2026-10-25T00:30", "2026-10-25T01:10", "2026-03-29T00:59"])
def test_within_a_change_of_the_clocks_the_next_night_is_airflows(now: str) -> None:
    moment = dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC)
    end = moment + dt.timedelta(days=3)
    before = airflows("30 2 * * *", "Europe/Zurich", moment - dt.timedelta(days=3), end)
    assert list(nights(spec_with("30 2 * * *", "Europe/Zurich"), moment, end)) == [
        one for one in before if one > moment
    ]


def calendar_in(zone: str) -> Calendar:
    """Weekends, month ends, holidays and some dates, over both nights on which Zurich's clocks change."""
    common = {"reason": "because", "zone": zone}
    windows = [
        {"name": "weekend", "weekly": {"from": "Fri 16:00", "to": "Sun 02:00"}, **common},
        {"name": "month", "month_end": {"last": 1, "days": "working", "until": 1, "country": "CH"}, **common},
        {"name": "holidays", "holidays": {"country": "CH", "subdivision": "ZH"}, "meets": "drop", **common},
        {"name": "dates", "dates": {"from": "2026-05-11", "to": "2026-05-13"}, "meets": "drop", **common},
    ]
    from nightferry.clients.holiday_dates import public_holidays

    return Calendar("test", CalendarFile.model_validate({"windows": windows}), public_holidays)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", CRONS)
def test_what_the_calendar_says_is_what_then_happens(cron: str, zone: str) -> None:
    spec, calendar = spec_with(cron, zone), calendar_in(zone)
    said = {night.moment: night for night in outlook(spec, calendar, BEGIN, BEGIN + DAYS)}

    seen: dict[str, int] = {}
    for moment in airflows(cron, zone, BEGIN, BEGIN + DAYS):
        stay = frozen(admission(spec, moment), lambda _: calendar)
        comes = "releases" if stay is None else "dropped" if stay.drop else "waits"
        seen[comes] = seen.get(comes, 0) + 1
        assert said.pop(moment).comes == comes, moment
        if stay is not None and stay.until:  # it does go on when it opens, and not a minute sooner
            opens = dt.datetime.fromisoformat(stay.until)
            before = opens - dt.timedelta(minutes=1)
            assert [has_opened(spec, ServiceState(), time, lambda _: calendar) for time in (before, opens)] == [
                False,
                True,
            ]
    assert said == {}
    assert set(seen) == {"releases", "waits", "dropped"}


def admission(spec: ServiceSpec, now: dt.datetime) -> Admission:
    return Admission(
        decision=a_decision(),
        environment=spec.environments[0],
        image="registry/digits@sha256:" + "a" * 64,
        spec=spec,
        state=ServiceState(),
        entries=(),
        now=now,
    )


def test_the_example_calendar_is_right_and_bars_nothing_of_digits() -> None:
    calendar = read_calendar(ROOT / "dags" / "calendars" / "company.yaml")
    assert calendar.file.windows
    assert "calendar:" not in Path(ROOT / "dags" / "services" / "digits.yaml").read_text(encoding="utf-8")


def test_both_nights_of_a_change_of_the_clocks_are_marked() -> None:
    zone = ZoneInfo("Europe/Zurich")
    marked = {
        night.moment.astimezone(zone).date().isoformat(): night.clocks / dt.timedelta(hours=1)
        for night in outlook(spec_with("30 2 * * *", zone.key), None, BEGIN, BEGIN + DAYS)
        if night.clocks
    }
    assert marked == {"2026-03-29": 1, "2026-10-25": -1}
