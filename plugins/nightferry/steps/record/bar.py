"""What a person bars from release, and frees again: holds and quarantines. All of it is entries on the record."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.barring.hold import EVERYTHING, Hold
from nightferry.entities.barring.quarantine import Bar, Quarantine
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.state import read_state, state_of


def hold(
    ledger: LedgerStore, clock: Clock, service: str, *, why: str, actor: str, until: dt.datetime | None = None
) -> LedgerEntry:
    """Bar a service, or with EVERYTHING all of them, from new releases.

    Args:
        ledger: the record.
        clock: for the time.
        service: its name, or EVERYTHING.
        why: for those who wonder.
        actor: who holds.
        until: when it ends by itself; None: when a person ends it.

    Raises:
        Permanent: (request_invalid) its end is in the past.
        As `append`.
    """
    if until is not None and until <= clock.now():
        raise Permanent(Reason.REQUEST_INVALID, f"The hold would have ended already, at {ledgers.utc(until)}.")
    end = ledgers.utc(until) if until else None
    what = "Everything" if service == EVERYTHING else service
    return ledgers.append(
        ledger,
        clock,
        service=service,
        kind=Kind.HOLD,
        key=f"hold:{uuid.uuid4()}",
        release=None,
        actor=actor,
        reason=Reason.HELD,
        sentence=f"{what} is held{f' until {end}' if end else ''}: {why}",
        data={"why": why, "until": end},
    )


def resume(
    ledger: LedgerStore, clock: Clock, service: str, *, numbers: Sequence[int], why: str, actor: str
) -> LedgerEntry:
    """End holds. Raises as `append`."""
    what = "Everything" if service == EVERYTHING else service
    named = ", ".join(map(str, numbers))
    return ledgers.append(
        ledger,
        clock,
        service=service,
        kind=Kind.HOLD,
        key=f"hold:{named}/ended",
        release=None,
        actor=actor,
        reason=Reason.RESUMED,
        sentence=f"{what} is no longer held by hold {named}" + (f": {why}" if why else "."),
        data={"ends": list(numbers), "why": why},
    )


def holds_of(ledger: LedgerStore, service: str, clock: Clock) -> list[Hold]:
    """The holds of a service, or of EVERYTHING, whose time is not over. Raises as `read_state`."""
    return [one for one in read_state(ledger, service).holds if one.stands(clock.now())]


def quarantine(ledger: LedgerStore, clock: Clock, service: str, bar: Bar, *, why: str, actor: str) -> LedgerEntry:
    """Bar parts of a release together. What is barred already is not barred again. Raises as `append_with`."""

    def make(chain: ledgers.Chain) -> LedgerEntry | dict[str, object]:
        found = (one for one in state_of(chain).quarantines if not (one.chosen or one.unseen))
        barred = next((one for one in found if one.parts == bar.parts), None)
        if barred:
            return chain.at(barred.number)
        return {
            "kind": Kind.QUARANTINE,
            "key": key,
            "release": None,
            "actor": actor,
            "reason": Reason.QUARANTINED,
            "sentence": why,
            "data": {"bars": [bar.to_json()]},
        }

    key = f"quarantine:{uuid.uuid4()}"
    return ledgers.append_with(ledger, clock, service, make)


def lift(ledger: LedgerStore, clock: Clock, service: str, number: int, *, why: str, actor: str) -> LedgerEntry:
    """Lift a quarantine; once, whoever asks.

    Raises:
        Permanent: (request_invalid) there is none of this number.
        As `append`.
    """
    found = next((one for one in quarantines_of(ledger, service) if one.number == number), None)
    if found is None:
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"{service} has no quarantine {number}; `nightferry quarantine list {service}` shows those that stand.",
        )
    return ledgers.append(
        ledger,
        clock,
        service=service,
        kind=Kind.QUARANTINE,
        key=f"quarantine:{number}/lifted",
        release=None,
        actor=actor,
        reason=Reason.QUARANTINE_LIFTED,
        sentence=f"{found.words} may be released again: {why}",
        data={"lifts": [number]},
    )


def quarantines_of(ledger: LedgerStore, service: str) -> tuple[Quarantine, ...]:
    """Those that stand, oldest first. Raises as `read_state`."""
    return read_state(ledger, service).quarantines
