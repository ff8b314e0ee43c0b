"""`nightferry calendar`: what people, programs and calendar programs get."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
import yaml
from nightferry.cli import main
from nightferry.clients import connect
from nightferry.entities.barring.hold import Hold
from nightferry.entities.calendar.calendar_file import CalendarFile
from nightferry.entities.calendar.freeze_calendar import Calendar
from nightferry.entities.calendar.icalendar_text import OCTETS, icalendar
from nightferry.entities.calendar.outlook import outlook
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary
from nightferry.steps.record.bar import hold

from tests.fakes.a_release import SERVICE_FILE
from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.service_specs import digits_spec
from tests.fakes.still_clock import StillClock

WEEKEND = {
    "name": "weekend",
    "reason": "away",
    "zone": "Europe/Zurich",
    "weekly": {"from": "Fri 16:00", "to": "Mon 06:00"},
}
CALENDAR = {"windows": [WEEKEND], "exception": {"longest": "12h", "by": ["ana", "ben"]}}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StillClock:
    """Friday, 20 March 2026, noon in Zurich: a week before its clocks go forward."""
    clock = StillClock("2026-03-20T11:00:00+00:00")
    for module in ("coming", "excepting"):
        monkeypatch.setattr(f"nightferry.cli.calendars.{module}.SystemClock", lambda: clock)
    return clock


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> MemoryLedger:
    store = MemoryLedger()
    monkeypatch.setattr(connect, "ledger_store", lambda settings: store)
    return store


@pytest.fixture(autouse=True)
def company(services: Path) -> Path:
    """The service has a calendar."""
    (services / "digits.yaml").write_text(SERVICE_FILE + "calendar: company\n", encoding="utf-8")
    (services.parent / "calendars").mkdir()
    file = services.parent / "calendars" / "company.yaml"
    file.write_text(yaml.safe_dump(CALENDAR), encoding="utf-8")
    return file


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main(["calendar", "digits", "--json", "--no-look", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_each_night_tells_its_windows_holds_and_changes_of_the_clocks(ledger, clock, capsys):
    hold(ledger, clock, "digits", why="match", actor="ana", until=clock.now() + dt.timedelta(days=5))
    nights = {night["local"][:10]: night for night in listed(capsys, "--days", "10")["nights"]}
    assert list(nights) == [f"2026-03-{day}" for day in range(21, 31)]
    assert {date: night["comes"] for date, night in nights.items()} == {
        **{f"2026-03-{day}": "held" for day in range(21, 26)},
        **{f"2026-03-{day}": "releases" for day in (26, 27, 30)},
        **{f"2026-03-{day}": "waits" for day in (28, 29)},
        "2026-03-30": "waits",
    }
    assert [date for date, night in nights.items() if night["clocks_change_minutes"]] == ["2026-03-29"]
    assert nights["2026-03-29"]["local"] == "2026-03-29T03:00:00+02:00"
    assert nights["2026-03-28"]["opens"] == "2026-03-30T04:00:00Z"

    assert main(["calendar", "digits", "--days", "10", "--no-look"]) == 0
    said = capsys.readouterr().out
    assert "clocks go forward 1 h on this day; weekend: away; opens Mon 2026-03-30 06:00 CEST" in said
    assert "match" in said


def test_what_would_ship_now_is_looked_at_unless_it_is_left_out(ledger, clock, capsys, monkeypatch):
    looks = []

    def unavailable(*_: object) -> object:
        looks.append(1)
        raise Temporary(Reason.STORAGE_UNAVAILABLE, "The storage does not answer.")

    monkeypatch.setattr("nightferry.cli.releasing.dry_run.weigh_now", unavailable)
    listed(capsys)
    assert looks == []
    assert main(["calendar", "digits"]) == 3
    said = capsys.readouterr().out
    assert "could not be looked at [storage_unavailable]" in said
    assert "2026-03-21 02:00" in said


def test_an_exception_is_asked_for_confirmed_by_another_and_shown(ledger, clock, capsys):
    words = ["calendar", "except", "digits"]
    assert main([*words, "--until", "22:00", "--reason", "outage", "--by", "ana", "--json"]) == 0
    number = str(json.loads(capsys.readouterr().out)["exception"])
    assert main([*words, "--confirm", number, "--by", "ana"]) == 2
    assert "another person" in capsys.readouterr().err
    clock.advance(5 * 3600)  # the window stands by now
    assert main([*words, "--confirm", number, "--by", "ben"]) == 0
    assert "bars nothing of digits until 2026-03-20 22:00:00 CET" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["digits", "letters"],
        ["digits", "--reason", "x"],
        ["digits", "--days", "0"],
        ["digits", "--ics", "-", "--json"],
        ["digist"],
        ["except", "digits"],
        ["except", "digits", "--until", "22:00"],
        ["except", "digits", "--until", "22:00", "--reason", " "],
        ["except", "digits", "--confirm", "1", "--reason", "x"],
        ["except", "digits", "--confirm", "1", "--by", "ben"],
        ["except", "digits", "--days", "3"],
        ["except", "digits", "--until", "2026-03-25", "--reason", "x", "--by", "ana"],
    ],
)
def test_bad_input_is_refused_and_writes_nothing(ledger, clock, capsys, words):
    try:
        code = main(["calendar", *words])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not ledger.blobs


def test_a_service_without_calendar_or_schedule_is_shown_too(ledger, clock, services, capsys):
    text = SERVICE_FILE.replace('schedule: {cron: "0 2 * * *", timezone: Europe/Zurich}\n', "")
    (services / "digits.yaml").write_text(text, encoding="utf-8")
    assert listed(capsys)["nights"] == []
    assert main(["calendar", "digits", "--no-look"]) == 0
    assert "on request only" in capsys.readouterr().out


# --- iCalendar


def parsed(text: str) -> list[dict[str, str]]:
    """The events, read as RFC 5545 says, by code that shares nothing with what wrote them."""
    assert text.endswith("\r\n")
    assert all(len(line.encode()) <= OCTETS for line in text.split("\r\n"))
    assert "\n" not in text.replace("\r\n", "")
    events: list[dict[str, str]] = []
    for line in text.replace("\r\n ", "").split("\r\n"):
        name, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            events.append({})
        elif events and name not in ("END", "BEGIN"):
            events[-1][name] = _unescaped(value)
    return events


def _unescaped(value: str) -> str:
    out, rest = "", iter(value)
    for character in rest:
        if character == "\\":
            following = next(rest)
            assert following in "\\;,nN"
            out += "\n" if following in "nN" else following
        else:
            assert character not in ";,"
            out += character
    return out


def test_the_icalendar_has_every_night_and_window_each_with_the_same_uid_at_each_time(ledger, clock, tmp_path, capsys):
    target = tmp_path / "nights.ics"
    assert main(["calendar", "digits", "--days", "10", "--ics", str(target)]) == 0
    first = parsed(target.read_bytes().decode())
    capsys.readouterr()
    clock.advance(3600)
    assert main(["calendar", "digits", "--days", "10", "--ics", "-"]) == 0
    again = parsed(capsys.readouterr().out.replace("\n", "\r\n").replace("\r\r", "\r"))
    uids = [event["UID"] for event in first]
    assert len(set(uids)) == len(uids) == 10 + 2  # nights and weekends
    assert [event["UID"] for event in again] == uids
    spring = next(event for event in first if event["DTSTART"] == "20260329T010000Z")
    assert spring["SUMMARY"] == "digits is built and waits"
    weekend = next(event for event in first if event["SUMMARY"] == "digits is frozen: weekend")
    assert (weekend["DTSTART"], weekend["DTEND"]) == ("20260320T150000Z", "20260323T050000Z")
    assert list(tmp_path.glob(".nights*")) == []


def test_texts_are_escaped_and_folded_between_characters():
    hard = "commas, semicolons; back\\slashes\nlines\r\nand\x07 bells; " + "ü€🦀" * 60
    rule = {**WEEKEND, "reason": hard[:180], "name": "week, end; \\ 🦀"}
    calendar = Calendar("c", CalendarFile.model_validate({"windows": [rule]}), lambda *_: {})
    begin = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    end = begin + dt.timedelta(days=3)
    why = Hold(number=1, since="2026-11-20T00:00:00Z", actor="ana", why=hard)
    nights = list(outlook(digits_spec(), calendar, begin, end, holds=[why]))

    events = parsed(icalendar("digits", nights, calendar.windows(begin, end), begin))

    wanted = hard.replace("\r\n", "\n").replace("\x07", " ")
    assert events[0]["DESCRIPTION"].endswith(f"Held by ana: {wanted}")
    assert events[-1]["SUMMARY"] == "digits is frozen: week, end; \\ 🦀"


def test_a_file_that_cannot_be_written_is_one_sentence(ledger, clock, tmp_path, capsys):
    assert main(["calendar", "digits", "--ics", str(tmp_path / "nowhere" / "x.ics")]) == 2
    assert "cannot be written" in capsys.readouterr().err
