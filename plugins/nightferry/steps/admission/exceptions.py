"""Exceptions from a calendar: one person asks, another one confirms, and it ends by itself."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.calendar.calendar_file import Excepting, person
from nightferry.entities.calendar.freeze_calendar import Calendar
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.state.exception import FreezeException
from nightferry.errors import Permanent
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.state import state_of


def ask(
    ledger: LedgerStore, clock: Clock, service: str, calendar: Calendar, *, until: dt.datetime, why: str, actor: str
) -> LedgerEntry:
    """Ask for an exception. The same person who asks for the same end again has asked once.

    Args:
        ledger: the record.
        clock: for the time.
        service: its name.
        calendar: the service's: it says who may ask, and for how long.
        until: when it ends.
        why: for those who wonder.
        actor: who asks.

    Raises:
        Permanent: (request_invalid) the calendar has no exceptions, or none by this person or of this length.
        As `append_with`.
    """
    _allowed(calendar, actor, until, clock.now())
    end = ledgers.utc(until)

    def make(chain: ledgers.Chain) -> LedgerEntry | dict[str, Any]:
        for one in state_of(chain).exceptions:
            if (one.until, person(one.actor)) == (end, person(actor)) and not one.over(clock.now()):
                return chain.at(one.number)
        return {
            "kind": Kind.EXCEPTION,
            "key": key,
            "release": None,
            "actor": actor,
            "reason": Reason.EXCEPTION_ASKED,
            "sentence": f"An exception from the calendar {calendar.name} until {end} is asked for: {why}",
            "data": {"why": why, "until": end, "calendar": calendar.name},
        }

    key = f"exception:{uuid.uuid4()}"
    return ledgers.append_with(ledger, clock, service, make)


def confirm(
    ledger: LedgerStore, clock: Clock, service: str, calendar: Calendar, number: int, *, actor: str
) -> LedgerEntry:
    """Confirm an exception; once, whoever does it first.

    Args:
        ledger: the record.
        clock: for the time.
        service: its name.
        calendar: the service's, as it is now: it says who may confirm.
        number: of the exception, as it was told when it was asked for.
        actor: who confirms.

    Raises:
        Permanent: (request_invalid) there is none of this number, its time is over, or this person asked for it or
            may not confirm it.
        As `append_with`.
    """

    def make(chain: ledgers.Chain) -> LedgerEntry | dict[str, Any]:
        one = _waiting(chain, number, clock.now())
        _allowed(calendar, actor, dt.datetime.fromisoformat(one.until), clock.now())
        if person(one.actor) == person(actor):
            raise _invalid(f"{actor} asked for exception {number}; another person has to confirm it.")
        made = chain.find(key) if one.confirmed else None
        return made or {
            "kind": Kind.EXCEPTION,
            "key": key,
            "release": None,
            "actor": actor,
            "reason": Reason.EXCEPTION_CONFIRMED,
            "sentence": f"The calendar bars nothing until {one.until}: {one.actor} asked for it ({one.why}).",
            "data": {"confirms": number, "until": one.until},
        }

    key = f"exception:{number}/confirmed"
    return ledgers.append_with(ledger, clock, service, make)


def _waiting(chain: ledgers.Chain, number: int, now: dt.datetime) -> FreezeException:
    for one in state_of(chain).exceptions:
        if one.number == number and not one.over(now):
            return one
    raise _invalid(f"{chain.service} has no exception {number} whose time is not over; ask for another one.")


def _allowed(calendar: Calendar, actor: str, until: dt.datetime, now: dt.datetime) -> Excepting:
    rule = calendar.file.exception
    if rule is None:
        raise _invalid(f"The calendar {calendar.name} has no exceptions: its file would say `exception:`.")
    if not rule.may(actor):
        raise _invalid(f"{actor} is none of those whom the calendar {calendar.name} names: {', '.join(rule.by)}.")
    if until <= now:
        raise _invalid(f"The exception would have ended already, at {ledgers.utc(until)}.")
    if until - now > rule.longest:
        raise _invalid(f"An exception from the calendar {calendar.name} lasts {_hours(rule.longest)} at most.")
    return rule


def _hours(duration: dt.timedelta) -> str:
    minutes = int(duration.total_seconds() // 60)
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def _invalid(sentence: str) -> Permanent:
    return Permanent(Reason.REQUEST_INVALID, sentence)
