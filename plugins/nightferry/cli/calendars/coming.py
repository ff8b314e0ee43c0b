"""The coming nights of a service, for people, for programs, and for people's own calendars."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from nightferry import settings as settings_of
from nightferry.cli import exit_codes
from nightferry.cli.exit_codes import OK
from nightferry.cli.lookup import spec_of
from nightferry.cli.output import show_json, table
from nightferry.clients import connect
from nightferry.clients.clock import Clock, SystemClock
from nightferry.entities.barring.hold import EVERYTHING
from nightferry.entities.calendar.freeze_calendar import Calendar
from nightferry.entities.calendar.icalendar_text import icalendar
from nightferry.entities.calendar.outlook import Night, outlook
from nightferry.entities.calendar.words import local
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import NightferryError, Permanent
from nightferry.settings import Settings
from nightferry.steps.record.state import read_state
from nightferry.steps.services.load_calendars import load_calendar

STDOUT = "-"


def coming(arguments: argparse.Namespace) -> int:
    """Show them."""
    settings, clock = settings_of.load(), SystemClock()
    if arguments.ics and arguments.json:
        raise Permanent(Reason.REQUEST_INVALID, "--ics and --json are two ways to write it; choose one.")
    spec = spec_of(settings, arguments.service)
    calendar = load_calendar(settings.services_folders, spec.calendar) if spec.calendar else None
    now = clock.now()
    end = now + dt.timedelta(days=arguments.days)
    nights = _nights(settings, spec, calendar, now, end)
    windows = calendar.windows(now, end) if calendar else []
    if arguments.ics:
        return _write(arguments.ics, icalendar(spec.service, nights, windows, now))
    seen, code = ({}, OK) if arguments.no_look else _look(settings, spec, clock)
    if arguments.json:
        whole = {"service": spec.service, "timezone": spec.timezone.key, "calendar": spec.calendar}
        listed = {"nights": [one.to_json() for one in nights], "windows": [one.to_json() for one in windows]}
        show_json(whole | listed | {"now": seen or None})
        return code
    if spec.schedule is None:
        print(f"{spec.service} has no schedule: it is released on request only.")
        rows = [
            (local(one.begin, spec.timezone), local(one.end, spec.timezone), one.name, one.reason) for one in windows
        ]
        table(("FROZEN FROM", "TO", "BY", "WHY"), rows)
    else:
        table(("NIGHT", "COMES", "BECAUSE"), [(local(one.moment, one.zone), one.comes, because(one)) for one in nights])
    if seen:
        print(f"\n{_told(seen)}")
    return code


def because(night: Night) -> str:
    """What is to be said of a night."""
    said = [f"clocks go {_change(night.clocks)}"] if night.clocks else []
    said += [f"{one.name}: {one.reason}" for one in night.windows]
    said += ["an exception lifts it"] if night.excepted else []
    said += [f"opens {local(night.opens, night.zone)}"] if night.opens else []
    said += [f"hold {one.number} of {one.actor}: {one.why}" for one in night.holds]
    return "; ".join(said)


def _nights(
    settings: Settings, spec: ServiceSpec, calendar: Calendar | None, now: dt.datetime, end: dt.datetime
) -> list[Night]:
    if spec.schedule is None:
        return []
    store = connect.ledger_store(settings)
    state, everywhere = read_state(store, spec.service), read_state(store, EVERYTHING)
    holds = (*state.holds, *everywhere.holds)
    return list(outlook(spec, calendar, now, end, holds=holds, exceptions=state.exceptions))


def _look(settings: Settings, spec: ServiceSpec, clock: Clock) -> tuple[dict[str, Any], int]:
    """What would be decided now; where that cannot be looked at, the nights stand all the same."""
    from nightferry.cli.releasing.dry_run import weigh_now

    try:
        decision = weigh_now(settings, spec, ReleaseRequest(), clock).decision
    except NightferryError as fault:
        return {"go": None, "reason": str(fault.reason), "sentence": fault.sentence}, exit_codes.of(fault)
    return {"go": decision.go, "reason": str(decision.reason), "sentence": decision.sentence}, OK


def _told(seen: dict[str, Any]) -> str:
    if seen["go"] is None:
        return f"What would be released now could not be looked at [{seen['reason']}]: {seen['sentence']}"
    what = "it would be released" if seen["go"] else "nothing would be released"
    return f"Were it decided now, {what} [{seen['reason']}]: {seen['sentence']}"


def _change(clocks: dt.timedelta) -> str:
    minutes = abs(int(clocks.total_seconds() // 60))
    long = f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
    return f"{'forward' if clocks > dt.timedelta() else 'back'} {long} on this day"


def _write(where: str, text: str) -> int:
    """Write the file as a whole, so that whoever reads it meanwhile gets the one before."""
    if where == STDOUT:
        sys.stdout.write(text)
        return OK
    target = Path(where)
    try:
        with tempfile.NamedTemporaryFile(dir=target.absolute().parent, prefix=f".{target.name}.", delete=False) as file:
            file.write(text.encode())
            os.fchmod(file.fileno(), 0o644)
        Path(file.name).replace(target)
    except OSError as fault:
        raise Permanent(Reason.REQUEST_INVALID, f"{where} cannot be written: {fault.strerror}.") from fault
    print(f"{where} is written.")
    return OK
