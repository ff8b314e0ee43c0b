"""What a person says against a release: rollback, hold, resume, quarantine."""

from __future__ import annotations

import datetime as dt
import json
from zoneinfo import ZoneInfo

import pytest
from nightferry.cli import main
from nightferry.cli.control.hold import parse_until
from nightferry.clients import connect
from nightferry.errors import Permanent
from nightferry.steps.record.bar import quarantines_of
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import read_state

from tests.fakes.a_release import a_decision, decided, released
from tests.fakes.worlds.rollout_world import World

RELEASE = "digits-2026-11-21.1"
FIRST, SECOND = "digits-2026-11-21.1", "digits-2026-11-21.2"
ZURICH = ZoneInfo("Europe/Zurich")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, services: object) -> World:
    """Production served two releases, one after the other; staging is another namespace and serves nothing."""
    world = World()
    for release in (FIRST, SECOND):
        world.roll_out(release, name="production", namespace="production")
        world.verify(release, name="production", namespace="production")
    monkeypatch.setattr(connect, "ledger_store", lambda settings: world.ledger)
    empty = World().cluster
    places = {"production": world.cluster, "staging": empty}
    monkeypatch.setattr(connect, "cluster", lambda _, namespace, cluster, guard=lambda it: it: guard(places[namespace]))
    monkeypatch.setattr("nightferry.cli.control.rollback.SystemClock", lambda: world.clock)
    return world


def test_rollback_says_what_users_get_now(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["rollback", "digits", "--environment", "production", "--reason", "wrong", "--by", "ana"]
    assert main(words) == 0
    assert f"production serves {FIRST} again instead of {SECOND}" in capsys.readouterr().out
    assert world.in_use() == FIRST
    assert main([*words, "--to", FIRST, "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert (said["left"], said["to"], said["recorded"]) == ("", FIRST, True)


def test_a_dry_run_changes_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    before = len(world.ledger.blobs)
    assert main(["rollback", "digits", "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(row["serves"], row["goes_to"]) for row in said] == [(SECOND, FIRST), ("", None)]
    assert (world.in_use(), len(world.ledger.blobs)) == (SECOND, before)


@pytest.mark.parametrize(
    "words",
    [
        ["rollback", "digits"],
        ["rollback", "digits", "--reason", " "],
        ["rollback", "digits", "--reason", "x", "--to", "yesterday"],
        ["rollback", "digits", "--reason", "x", "--to", "letters-2026-11-21.1"],
        ["rollback", "digist", "--reason", "x"],
        ["hold", "digits", "--all", "--reason", "x"],
        ["hold", "--reason", "x"],
        ["hold", "digits", "--until", "22:00"],
        ["hold", "digits", "--reason", "x", "--until", "tomorrow"],
        ["hold", "digits", "--reason", "x", "--until", "2020-01-01"],
        ["resume", "digits", "--hold", "7"],
        ["quarantine", "lift", "digits", "7", "--reason", "x"],
        ["quarantine", "add", "digits", "--source-of", "digits-2020-01-01.1", "--reason", "x"],
    ],
)
def test_bad_input_is_one_sentence_and_changes_nothing(
    world: World, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    before = len(world.ledger.blobs)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1
    assert (world.in_use(), len(world.ledger.blobs)) == (SECOND, before)


def test_a_hold_begins_is_listed_and_ends(ledger, clock, services, capsys):
    assert main(["hold", "digits", "--reason", "big match", "--by", "ana", "--json"]) == 0
    number = json.loads(capsys.readouterr().out)["hold"]
    assert main(["hold", "digits"]) == 0
    assert "big match" in capsys.readouterr().out
    assert main(["resume", "digits", "--by", "ben", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ended"] == [number]
    assert main(["resume", "digits", "--by", "ben"]) == 0
    assert "digits is not held" in capsys.readouterr().out


def test_nobody_ends_somebody_elses_hold_unawares(ledger, clock, services, capsys):
    numbers = []
    for who in ("ana", "ben"):
        assert main(["hold", "digits", "--reason", f"{who}'s", "--by", who, "--json"]) == 0
        numbers.append(json.loads(capsys.readouterr().out)["hold"])
    assert main(["resume", "digits", "--by", "ana"]) == 2
    assert "say which one ends" in capsys.readouterr().err
    assert main(["resume", "digits", "--by", "ana", "--hold", str(numbers[0])]) == 0
    assert [one.number for one in read_state(ledger, "digits").holds] == numbers[1:]


def test_a_releases_code_is_barred_and_freed(ledger, clock, services, capsys):
    released(ledger, clock, decided(ledger, clock, a_decision()))
    words = ["--reason", "leaks", "--by", "ana"]
    assert main(["quarantine", "add", "digits", "--source-of", RELEASE, *words]) == 0
    assert main(["quarantine", "list", "digits", "--json"]) == 0
    (barred,) = json.loads(capsys.readouterr().out.partition("\n[")[2].join(["[", ""]))
    assert (barred["parts"]["tree"], barred["sentence"]) == ("d" * 40, "leaks")
    assert main(["quarantine", "lift", "digits", str(barred["number"]), *words]) == 0
    assert quarantines_of(ledger, "digits") == ()
    newest = Chain(ledger, "digits").head
    assert newest is not None
    assert newest.actor == "ana"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("22:00", "2026-11-21T22:00:00+01:00"),
        ("1:30", "2026-11-22T01:30:00+01:00"),
        ("2026-12-01", "2026-12-01T00:00:00+01:00"),
        ("2026-12-01T06:00", "2026-12-01T06:00:00+01:00"),
        ("2026-12-01T06:00:00Z", "2026-12-01T06:00:00+00:00"),
    ],
)
def test_an_end_is_written_as_people_do(written: str, meant: str) -> None:
    now = dt.datetime.fromisoformat("2026-11-21T02:00:00+01:00")
    assert parse_until(written, now, ZURICH) == dt.datetime.fromisoformat(meant)


def test_the_next_ten_o_clock_is_ten_o_clock_over_a_change_of_the_clocks() -> None:
    now = dt.datetime.fromisoformat("2026-10-24T23:00:00+02:00")
    assert parse_until("22:00", now, ZURICH) == dt.datetime.fromisoformat("2026-10-25T22:00:00+01:00")
    with pytest.raises(Permanent, match="is no time"):
        parse_until("25:00", now, ZURICH)
