"""What people see: aligned columns, local times, durations, sizes."""

from __future__ import annotations

import io
import re
from zoneinfo import ZoneInfo

import pytest
from nightferry.cli.output import local_time, seconds, size, table

ZURICH = ZoneInfo("Europe/Zurich")


def test_a_row_is_a_line_where_nothing_is_drawn():
    out = io.StringIO()
    table(("NAME", "SAYS"), [("a", "x" * 500), ("longer", "")], out)

    assert out.getvalue().splitlines() == ["NAME    SAYS", "a       " + "x" * 500, "longer"]


class Terminal(io.StringIO):
    """A terminal to draw on."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_every_word_is_shown_on_a_terminal_of_any_width(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    out = Terminal()
    words = "a sentence that says rather much about what was found and what there is to do about it"
    table(("NAME", "KIND", "SAYS"), [("e2e-digits-2026-11-21.1", "source_repository_unavailable", words)], out)

    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert max(len(line.rstrip()) for line in plain.splitlines()) <= int(columns)
    assert {"e2e-digits-2026-11-21.1", "source_repository_unavailable", *words.split()} <= set(plain.split())


@pytest.mark.parametrize(
    ("utc", "shown"),
    [
        ("2026-11-21T01:00:00Z", "2026-11-21 02:00:00 CET"),
        ("2026-07-01T22:30:00Z", "2026-07-02 00:30:00 CEST"),
        ("2026-10-25T00:30:00Z", "2026-10-25 02:30:00 CEST"),
        ("2026-10-25T01:30:00Z", "2026-10-25 02:30:00 CET"),
        ("", ""),
    ],
)
def test_times_are_those_of_the_services_zone(utc, shown):
    assert local_time(utc, ZURICH) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (0.44, "0.4 s"), (9.99, "10.0 s"), (59.6, "60 s"), (125, "2 min 5 s")]
)
def test_durations(value, shown):
    assert seconds(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(0, "0 B"), (999, "999 B"), (1200, "1.2 kB"), (3.5e12, "3500.0 GB")])
def test_sizes(value, shown):
    assert size(value) == shown
