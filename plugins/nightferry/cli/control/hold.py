"""`nightferry hold` and `resume`: nothing new is released for a while. Going back is never held. Needs no Airflow."""

from __future__ import annotations

import argparse
import datetime as dt
import re
from zoneinfo import ZoneInfo

from nightferry import settings as settings_of
from nightferry.cli.arguments import Parser, Subparsers, command
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import OK
from nightferry.cli.lookup import known, zone_of
from nightferry.cli.output import local_time, show_json, table
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.clients.person import me
from nightferry.entities.barring.hold import EVERYTHING, Hold
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.settings import Settings
from nightferry.steps.record.bar import hold, holds_of, resume

HOLD_EXAMPLES = """\
  nightferry hold digits --reason "numbers of the support line"   until somebody says resume
  nightferry hold digits --reason "big match" --until 22:00       it ends by itself, in the service's own time zone
  nightferry hold --all --reason "data centre moves" --until 2026-12-01T06:00
  nightferry hold digits                                          which holds stand
"""
RESUME_EXAMPLES = """\
  nightferry resume digits --reason "the line is quiet"
  nightferry resume --all
  nightferry resume digits --hold 42      where several people hold it: end this one alone
"""
_HOUR = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def add_parsers(subparsers: Subparsers) -> None:
    """Add `hold` and `resume`."""
    add = command(subparsers, "hold", hold_, HELP["hold"], HOLD_EXAMPLES)
    _service_or_all(add)
    add.add_argument("--reason", metavar="TEXT", help="why; left out: the holds that stand are listed")
    add.add_argument("--until", metavar="TIME", help="when it ends by itself: 22:00, 2026-12-01, 2026-12-01T06:00")
    _by(add)
    add = command(subparsers, "resume", resume_, HELP["resume"], RESUME_EXAMPLES)
    _service_or_all(add)
    add.add_argument("--hold", metavar="NUMBER", type=int, help="which one, where several stand")
    add.add_argument("--reason", metavar="TEXT", default="", help="why; it goes on the record")
    _by(add)


def hold_(arguments: argparse.Namespace) -> int:
    """Hold a service, or list its holds."""
    settings, clock = settings_of.load(), SystemClock()
    store, service = connect.ledger_store(settings), _service(settings, arguments)
    zone = zone_of(settings, service)
    if arguments.reason is None:
        if arguments.until:
            raise Permanent(Reason.REQUEST_INVALID, "A hold needs a reason: --reason TEXT.")
        return _list(store, service, zone, as_json=arguments.json)
    if not arguments.reason.strip():
        raise Permanent(Reason.REQUEST_INVALID, "The reason is empty; say why, for those who will wonder.")
    until = parse_until(arguments.until, clock.now(), zone) if arguments.until else None
    actor = arguments.by or me("--by")
    entry = hold(store, clock, service, why=arguments.reason, actor=actor, until=until)
    if arguments.json:
        show_json({"hold": entry.sequence, **_named(service), "until": entry.data["until"]})
    else:
        end = f" until {local_time(entry.data['until'], zone)}" if until else ""
        what = _what(service)
        print(f"{what} held{end} (hold {entry.sequence}): nothing new is released. Going back is not held.")
        print(f"To end it: nightferry resume {'--all' if service == EVERYTHING else service}")
    return OK


def resume_(arguments: argparse.Namespace) -> int:
    """End a hold."""
    settings, clock = settings_of.load(), SystemClock()
    store, service = connect.ledger_store(settings), _service(settings, arguments)
    standing = holds_of(store, service, clock)
    if arguments.hold is not None and arguments.hold not in [one.number for one in standing]:
        raise Permanent(Reason.REQUEST_INVALID, f"{_what(service)} not held by a hold {arguments.hold}.")
    if arguments.hold is None and len(standing) > 1:
        named = "; ".join(f"{one.number} of {one.actor}: {one.why}" for one in standing)
        raise Permanent(
            Reason.REQUEST_INVALID, f"{len(standing)} holds stand ({named}); say which one ends: --hold NUMBER."
        )
    ended = [one.number for one in standing if arguments.hold in (None, one.number)]
    if ended:
        actor = arguments.by or me("--by")
        resume(store, clock, service, numbers=ended, why=arguments.reason, actor=actor)
    if arguments.json:
        show_json({"ended": ended, **_named(service)})
    elif not ended:
        print(f"{_what(service)} not held.")
    else:
        left = len(standing) - len(ended)
        print(f"Hold {ended[0]} is ended." + (f" {left} more stand." if left else " The next night releases again."))
    return OK


def parse_until(written: str, now: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """A time as people write it, in the service's zone: `22:00` is the next one, a date is its midnight.

    Raises:
        Permanent: (request_invalid)
    """
    here = now.astimezone(zone)
    hour = _HOUR.fullmatch(written.strip())
    if hour:
        time = here.replace(hour=int(hour[1]), minute=int(hour[2]), second=0, microsecond=0, fold=0)
        return time if time > here else time + dt.timedelta(days=1)
    try:
        time = dt.datetime.fromisoformat(written.strip())
    except ValueError as fault:
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"--until {written!r} is no time; write 22:00, 2026-12-01 or 2026-12-01T06:00, in the zone {zone.key}.",
        ) from fault
    return time if time.tzinfo else time.replace(tzinfo=zone)


def _list(store: LedgerStore, service: str, zone: ZoneInfo, *, as_json: bool) -> int:
    clock = SystemClock()
    standing = holds_of(store, service, clock)
    if service != EVERYTHING:
        standing += holds_of(store, EVERYTHING, clock)
    if as_json:
        show_json([one.to_json() for one in standing])
    elif not standing:
        print(f"{_what(service)} not held. To hold: --reason TEXT.")
    else:
        table(("HOLD", "WHAT", "SINCE", "UNTIL", "BY", "WHY"), [_cells(one, service, zone) for one in standing])
    return OK


def _cells(one: Hold, service: str, zone: ZoneInfo) -> tuple[str, ...]:
    until = local_time(one.until, zone) if one.until else "resumed"
    what = "everything" if one.everything else service
    return str(one.number), what, local_time(one.since, zone), until, one.actor, one.why


def _service_or_all(add: Parser) -> None:
    add.add_argument("service", metavar="SERVICE", nargs="?", help="name of the service, as in its service file")
    add.add_argument("--all", action="store_true", help="every service, those that are added later too")


def _by(add: Parser) -> None:
    add.add_argument("--by", metavar="NAME", help="who says so (your account's name)")


def _service(settings: Settings, arguments: argparse.Namespace) -> str:
    if arguments.all == bool(arguments.service):
        raise Permanent(Reason.REQUEST_INVALID, "Name one service, or say --all.")
    if arguments.all:
        return EVERYTHING
    known(settings, connect.ledger_store(settings), arguments.service)
    return str(arguments.service)


def _what(service: str) -> str:
    return "Everything is" if service == EVERYTHING else f"{service} is"


def _named(service: str) -> dict[str, str | None]:
    return {"service": None if service == EVERYTHING else service}
