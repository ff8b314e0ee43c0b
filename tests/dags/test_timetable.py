"""When a service is released: once a night of its own time zone, whatever the clocks do."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from nightferry.entities.service_spec import ServiceSpec
from nightferry.operators.run_facts import actor, decision_key

from tests.dags.bag import parsed
from tests.fakes.a_release import SERVICE_FILE, a_spec


def runs(services: Path, cron: str, zone: str, first: dt.datetime, last: dt.datetime) -> list[dt.datetime]:
    """The moments between `first` and `last` at which Airflow's own timetable starts a run."""
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    text = SERVICE_FILE.replace("0 2 * * *", cron).replace("Europe/Zurich", zone)
    (services / "digits.yaml").write_text(text, encoding="utf-8")
    timetable = coerce_to_core_timetable(parsed().dags["release_digits"].timetable)
    found: list[Any] = []
    restriction = TimeRestriction(earliest=_pendulum(first), latest=None, catchup=True)
    while True:
        info = timetable.next_dagrun_info(
            last_automated_data_interval=found[-1].data_interval if found else None, restriction=restriction
        )
        if info.run_after > last:
            return [one.run_after for one in found]
        found.append(info)


def _pendulum(time: dt.datetime) -> Any:
    import pendulum

    return pendulum.instance(time)


@pytest.mark.parametrize(
    ("zone", "first"),
    [
        pytest.param("Europe/Zurich", "2026-03-25", id="clocks go forward over the hour"),
        pytest.param("Europe/Zurich", "2026-10-21", id="clocks go back over the hour"),
        pytest.param("America/New_York", "2026-03-05", id="New York, forward"),
        pytest.param("Australia/Lord_Howe", "2026-04-01", id="half an hour"),
        pytest.param("Asia/Kolkata", "2026-03-25", id="no change of clocks"),
        pytest.param("Pacific/Kiritimati", "2026-12-28", id="far ahead, over a new year"),
    ],
)
def test_there_is_one_run_a_night_and_each_decides_on_another_night(services: Path, zone: str, first: str) -> None:
    start = dt.datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone))
    found = runs(services, "30 2 * * *", zone, start, start + dt.timedelta(days=8))

    nights = [moment.astimezone(ZoneInfo(zone)).date() for moment in found]
    assert nights == [start.date() + dt.timedelta(days=day) for day in range(8)]
    assert len({decision_key(scheduled(moment)) for moment in found}) == 8


def test_a_service_that_was_just_added_waits_for_its_next_night(services: Path) -> None:
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    now = dt.datetime.now(ZoneInfo("Europe/Zurich"))
    just_past = now - dt.timedelta(minutes=2)
    text = SERVICE_FILE.replace("0 2 * * *", f"{just_past.minute} {just_past.hour} * * *")
    (services / "digits.yaml").write_text(text, encoding="utf-8")
    timetable = coerce_to_core_timetable(parsed().dags["release_digits"].timetable)

    info = timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(earliest=None, latest=None, catchup=False)
    )

    assert info.run_after > now


def test_several_slots_a_day_are_decided_one_by_one() -> None:
    moments = [dt.datetime(2026, 10, 25, hour, tzinfo=dt.UTC) for hour in (1, 13)]

    assert [decision_key(scheduled(moment)) for moment in moments] == [
        "slot:2026-10-25T01:00Z",
        "slot:2026-10-25T13:00Z",
    ]


def test_a_persons_run_is_decided_on_its_own() -> None:
    run = SimpleNamespace(run_type="manual", logical_date=None, run_id="request-1", triggering_user_name="ada")

    assert decision_key(run) == "run:request-1"
    assert actor(run) == "ada"
    assert actor(scheduled(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))) == "schedule"


def scheduled(moment: dt.datetime) -> Any:
    return SimpleNamespace(run_type="scheduled", logical_date=moment, run_id=f"scheduled__{moment}")


def spec_with(cron: str, zone: str) -> ServiceSpec:
    content = a_spec().to_json() | {"schedule": {"cron": cron, "timezone": zone}}
    return ServiceSpec.model_validate(content)
