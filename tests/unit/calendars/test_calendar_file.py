"""Calendar files are read strictly: what is wrong is said with its key, before any night."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightferry.clients.holiday_dates import kept_holidays
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.services.load_calendars import load_calendar, read_calendar
from nightferry.steps.services.load_services import load_services

from tests.fakes.service_specs import digits_content

WEEKEND = {
    "name": "weekend",
    "reason": "away",
    "zone": "Europe/Zurich",
    "weekly": {"from": "Fri 16:00", "to": "Mon 06:00"},
}


def window(**changes: Any) -> dict[str, Any]:
    """The weekend with changes; None leaves a key out."""
    return {key: value for key, value in (WEEKEND | changes).items() if value is not None}


def instead(**kind: Any) -> dict[str, Any]:
    """A window of another kind."""
    return window(weekly=None, **kind)


def write(folder: Path, name: str = "company", **content: Any) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "windows: Field required"),
        ({"windows": [window()], "zones": 1}, "zones: unknown key"),
        ({"windows": [window(until="Mon")]}, "windows.0.until: unknown key"),
        ({"windows": [window(zone="Europe/Zurick")]}, "windows.0.zone: unknown time zone"),
        ({"windows": [window(zone=None)]}, "windows.0.zone: Field required"),
        ({"windows": [window(reason=" ")]}, "windows.0.reason"),
        ({"windows": [window(meets="skip")]}, "windows.0.meets"),
        ({"windows": [window(during="wait")]}, "windows.0.during"),
        ({"windows": [window(), window()]}, "two are called 'weekend'"),
        ({"windows": [window(weekly=None)]}, "one of dates, weekly, month_end, holidays is wanted, not none"),
        ({"windows": [window(holidays={"country": "CH"})]}, "not weekly and holidays"),
        ({"windows": [window(weekly={"from": "Fri 16:00", "to": "Fri 16:00"})]}, "the window is empty"),
        ({"windows": [window(weekly={"from": "Freitag 16:00", "to": "Mon 06:00"})]}, "windows.0.weekly.from"),
        ({"windows": [window(weekly={"from": "Fri 25:00", "to": "Mon 06:00"})]}, "windows.0.weekly.from"),
        ({"windows": [instead(dates={"from": "2026-12-02", "to": "2026-12-01"})]}, "the window is empty"),
        ({"windows": [instead(dates={"from": "2026-02-30", "to": "2026-12-01"})]}, "windows.0.dates.from"),
        ({"windows": [instead(dates={"from": 0, "to": "2026-12-01"})]}, "windows.0.dates.from"),
        ({"windows": [instead(month_end={"last": 0, "until": 0})]}, "the window is empty"),
        ({"windows": [instead(month_end={"last": 29, "until": 0})]}, "windows.0.month_end.last"),
        ({"windows": [instead(month_end={"last": 20, "days": "working", "until": 0})]}, "no more than 15 working days"),
        ({"windows": [instead(holidays={"country": "XX"})]}, "windows.0.holidays: the holidays of XX are not known"),
        ({"windows": [instead(holidays={"country": "CH", "subdivision": "QQ"})]}, "CH-QQ are not known"),
        (
            {
                "windows": [
                    window(weekly={"from": "Mon 00:00", "to": "Thu 00:00"}),
                    window(name="rest", weekly={"from": "Wed 12:00", "to": "Mon 00:00"}),
                ]
            },
            "never opens",
        ),
        ({"windows": [], "exception": {"longest": "12h", "by": ["ada"]}}, "exception.by"),
        ({"windows": [], "exception": {"longest": "12h", "by": ["ada", "Ada "]}}, "ada is named twice"),
        ({"windows": [], "exception": {"longest": "3 days", "by": ["ada", "ben"]}}, "exception.longest"),
        ({"windows": [], "exception": {"longest": "96h", "by": ["ada", "ben"]}}, "at most 48h"),
        ({"windows": [], "exception": {"longest": "0m", "by": ["ada", "ben"]}}, "more than 0"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_calendar(write(tmp_path, **content))


def test_a_key_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "company.yaml"
    path.write_text("windows: []\nwindows: []\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2: the key 'windows' is given twice"):
        read_calendar(path)


def service(folder: Path, name: str, **changes: Any) -> None:
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(digits_content(service=name, **changes)), encoding="utf-8")


def test_a_service_whose_calendar_is_missing_or_wrong_is_refused_and_the_others_stay(tmp_path: Path) -> None:
    services, calendars = tmp_path / "services", tmp_path / "calendars"
    services.mkdir()
    calendars.mkdir()
    write(calendars, windows=[window()])
    write(calendars, "wrong", windows=[window(zone="nowhere")])
    service(services, "digits", calendar="company")
    service(services, "letters", calendar="companie")
    service(services, "words", calendar="wrong")

    loaded = load_services(services, {})

    assert list(loaded.specs) == ["digits"]
    said = {problem.service: (problem.reason, problem.sentence) for problem in loaded.problems}
    assert {reason for reason, _ in said.values()} == {Reason.SERVICE_FILE_INVALID}
    assert "calendar: There is no calendar 'companie'" in said["letters"][1]
    assert "windows.0.zone: unknown time zone" in said["words"][1]


def test_two_calendars_of_one_name_are_refused(tmp_path: Path) -> None:
    folders = [tmp_path / "one" / "services", tmp_path / "two" / "services"]
    for folder in folders:
        (folder.parent / "calendars").mkdir(parents=True)
        write(folder.parent / "calendars", windows=[])
    with pytest.raises(Permanent, match="keep one of them"):
        load_calendar(folders, "company")
    assert load_calendar(folders[0], "company").name == "company"


def test_a_laptop_without_the_library_calls_no_calendar_wrong_and_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, windows=[instead(holidays={"country": "CH"})])
    monkeypatch.setitem(sys.modules, "holidays", None)
    calendar = read_calendar(path)
    with pytest.raises(Permanent, match="pip install 'nightferry") as fault:
        calendar.at(dt.datetime(2026, 12, 25, 12, tzinfo=dt.UTC))
    assert fault.value.reason == Reason.SETTING_MISSING


def test_holidays_are_those_of_the_subdivision(tmp_path: Path) -> None:
    path = write(tmp_path, windows=[instead(holidays={"country": "CH", "subdivision": "ZH"})])
    calendar = read_calendar(path)
    labour_day = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
    standing = calendar.standing(labour_day)
    assert standing is not None
    assert (standing.reason, standing.end - standing.begin) == ("away (Labor Day)", dt.timedelta(days=1))
    assert calendar.standing(labour_day - dt.timedelta(days=1)) is None


def test_holidays_are_asked_for_once_and_what_was_kept_is_thrown_away_where_it_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = kept_holidays(tmp_path)("CH", "ZH", 2026)
    (kept,) = tmp_path.iterdir()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "holidays", None)
        assert kept_holidays(tmp_path)("CH", "ZH", 2026) == told
    kept.write_text("broken", encoding="utf-8")
    assert kept_holidays(tmp_path)("CH", "ZH", 2026) == told
    with pytest.raises(LookupError, match="ISO 3166"):
        kept_holidays(tmp_path)("../CH", None, 2026)
    assert list(tmp_path.iterdir()) == [kept]
