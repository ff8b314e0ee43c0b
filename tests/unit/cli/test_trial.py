"""`nightferry rehearse` and `nightferry drill`, and what `status` and `show` say of rehearsals."""

from __future__ import annotations

import datetime as dt
import json
from zoneinfo import ZoneInfo

import pytest
from nightferry.cli import main
from nightferry.cli.trial.rehearsals import age, rehearsal_line, rehearsal_row
from nightferry.drill.catalogue import FAULTS
from nightferry.entities.state.rehearsal import Rehearsal

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
FOUND = Rehearsal(
    sequence=9,
    time="2026-11-29T04:30:00Z",
    reason="rehearsal_failed",
    sentence="1 of the last 2 good releases would start and answer.",
    outcomes={"digits-2026-11-28.1": "right", "digits-2026-11-27.1": "not_pulled", "digits-2026-11-26.1": "new_word"},
)


def test_the_faults_are_listed_with_what_traffic_may_see(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["fault"] for one in listed] == [one.name for one in FAULTS]
    assert all(one["allows"] and one["says"].endswith(".") for one in listed)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["drill"], "Which service?"),
        (["drill", "digits", "--times", "0"], "--times 0"),
        (["drill", "digits", "--only", "nothing"], "no fault 'nothing'"),
        (["drill", "digits", "--quick", "--only", "API server gone"], "quick"),
        (["drill", "digits", "--markdown", "/no/such/folder/drill.md"], "no folder"),
        (["rehearse", "digits", "--last", "0"], "--last 0"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_touched(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_the_age_of_a_rehearsal_and_what_it_found() -> None:
    zone = ZoneInfo("Europe/Zurich")
    assert rehearsal_row("digits", FOUND, NOW) == ("digits", "7 h ago", FOUND.sentence)
    assert rehearsal_row("digits", FOUND, NOW + dt.timedelta(days=2))[1] == "2 d ago (old)"
    assert rehearsal_row("digits", None, NOW)[1] == "never"
    lines = {release: rehearsal_line(FOUND, release, zone, NOW) for release in FOUND.outcomes}
    assert lines["digits-2026-11-28.1"] == "2026-11-29 05:30:00 CET, 7 h ago: would start and answer"
    assert lines["digits-2026-11-27.1"].endswith("its image cannot be pulled")
    assert lines["digits-2026-11-26.1"].endswith("new_word")  # of a version to come
    assert rehearsal_line(FOUND, "digits-2026-11-25.1", zone, NOW) == ""
    assert rehearsal_line(None, "digits-2026-11-25.1", zone, NOW) == ""


def test_ages_are_short() -> None:
    seconds = {5: "5 s", 90: "1 min", 7300: "2 h", 200_000: "2 d", -5: "0 s"}
    assert {one: age((NOW - dt.timedelta(seconds=one)).isoformat(), NOW) for one in seconds} == seconds
