"""`nightferry calendar except`: two persons let a service be released although its calendar bars it."""

from __future__ import annotations

import argparse

from nightferry import settings as settings_of
from nightferry.cli.control.hold import parse_until
from nightferry.cli.exit_codes import OK
from nightferry.cli.lookup import spec_of
from nightferry.cli.output import local_time, show_json
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.person import me
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.admission.exceptions import ask, confirm
from nightferry.steps.services.load_calendars import load_calendar


def except_(arguments: argparse.Namespace) -> int:
    """Ask for an exception, or confirm one."""
    settings, clock = settings_of.load(), SystemClock()
    spec = spec_of(settings, arguments.service)
    if spec.calendar is None:
        raise Permanent(Reason.REQUEST_INVALID, f"{spec.service} has no calendar, so nothing bars it by date.")
    asking = arguments.confirm is None
    if not asking and (arguments.until or arguments.reason is not None):
        raise Permanent(
            Reason.REQUEST_INVALID, "What is confirmed is what was asked for: leave --until and --reason out."
        )
    if asking and not (arguments.until and (arguments.reason or "").strip()):
        raise Permanent(
            Reason.REQUEST_INVALID,
            "An exception needs an end and a reason: --until TIME --reason TEXT; to confirm one: --confirm NUMBER.",
        )
    calendar = load_calendar(settings.services_folders, spec.calendar)
    store, actor = connect.ledger_store(settings), arguments.by or me("--by")
    if asking:
        until = parse_until(arguments.until, clock.now(), spec.timezone)
        why = arguments.reason.strip()
        entry = ask(store, clock, spec.service, calendar, until=until, why=why, actor=actor)
    else:
        entry = confirm(store, clock, spec.service, calendar, arguments.confirm, actor=actor)
    number, end = entry.sequence if asking else arguments.confirm, entry.data["until"]
    shown = local_time(end, spec.timezone)
    if arguments.json:
        show_json({"service": spec.service, "exception": number, "until": end, "asked_for_only": asking})
    elif asking:
        print(f"Exception {number} of {spec.service} until {shown} is asked for; as yet nothing is lifted.")
        print(f"Another person confirms it: nightferry calendar except {spec.service} --confirm {number}")
    else:
        print(f"The calendar bars nothing of {spec.service} until {shown} (exception {number}).")
        print("Holds still count. It ends by itself.")
    return OK
