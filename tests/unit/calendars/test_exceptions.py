"""An exception needs two persons, is on the record, and ends by itself."""

from __future__ import annotations

import datetime as dt

import pytest
from nightferry.entities.calendar.calendar_file import CalendarFile
from nightferry.entities.calendar.freeze_calendar import Calendar
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.errors import Permanent
from nightferry.steps.admission import exceptions
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import read_state

from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.still_clock import StillClock

HOUR = dt.timedelta(hours=1)
FILE = {"windows": [], "exception": {"longest": "12h", "by": ["Ana", "ben", "chris"]}}
COMPANY = Calendar("company", CalendarFile.model_validate(FILE), lambda *_: {})


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


def ask(ledger: MemoryLedger, clock: StillClock, actor: str = "ana", hours: float = 2, told: Calendar = COMPANY) -> int:
    until = clock.now() + hours * HOUR
    return exceptions.ask(ledger, clock, "digits", told, until=until, why="outage", actor=actor).sequence


def confirm(ledger: MemoryLedger, clock: StillClock, number: int, actor: str) -> LedgerEntry:
    return exceptions.confirm(ledger, clock, "digits", COMPANY, number, actor=actor)


def stands(ledger: MemoryLedger, clock: StillClock) -> bool:
    return any(one.stands(clock.now()) for one in read_state(ledger, "digits").exceptions)


def test_asked_for_by_one_and_confirmed_by_another_it_stands_until_its_end(ledger, clock):
    number = ask(ledger, clock)
    assert not stands(ledger, clock)
    clock.advance(600)
    confirm(ledger, clock, number, "ben")
    assert stands(ledger, clock)
    clock.advance(2 * 3600)
    assert not stands(ledger, clock)
    assert [entry.kind for entry in Chain(ledger, "digits")] == [Kind.EXCEPTION] * 2


@pytest.mark.parametrize("actor", ["ana", "Ana", " ANA "])
def test_who_asked_does_not_confirm(ledger, clock, actor):
    number = ask(ledger, clock)
    with pytest.raises(Permanent, match="another person has to confirm it"):
        confirm(ledger, clock, number, actor)
    assert not stands(ledger, clock)


def test_others_than_the_calendar_names_neither_ask_nor_confirm(ledger, clock):
    with pytest.raises(Permanent, match="dora is none of those"):
        ask(ledger, clock, "dora")
    number = ask(ledger, clock)
    with pytest.raises(Permanent, match="dora is none of those"):
        confirm(ledger, clock, number, "dora")
    assert len(list(Chain(ledger, "digits"))) == 1


def test_asking_twice_is_one_and_so_is_confirming_twice(ledger, clock):
    assert ask(ledger, clock) == ask(ledger, clock)
    number = ask(ledger, clock)
    assert confirm(ledger, clock, number, "ben").sequence == confirm(ledger, clock, number, "chris").sequence
    assert [entry.actor for entry in Chain(ledger, "digits")] == ["ben", "ana"]


def test_two_who_both_ask_have_confirmed_nothing(ledger, clock):
    assert ask(ledger, clock, "ana") != ask(ledger, clock, "ben")
    assert not stands(ledger, clock)


def test_one_that_ended_is_not_confirmed(ledger, clock):
    number = ask(ledger, clock)
    clock.advance(2 * 3600)
    with pytest.raises(Permanent, match="whose time is not over"):
        confirm(ledger, clock, number, "ben")


def test_one_that_is_not_there_is_not_confirmed(ledger, clock):
    with pytest.raises(Permanent, match="no exception 7"):
        confirm(ledger, clock, 7, "ben")


def test_one_that_is_too_long_or_over_or_not_foreseen_is_refused(ledger, clock):
    with pytest.raises(Permanent, match="12 h at most"):
        ask(ledger, clock, hours=12.1)
    with pytest.raises(Permanent, match="ended already"):
        ask(ledger, clock, hours=-1)
    none = Calendar("strict", CalendarFile.model_validate({"windows": []}), lambda *_: {})
    with pytest.raises(Permanent, match="has no exceptions"):
        ask(ledger, clock, told=none)
    assert list(Chain(ledger, "digits")) == []
