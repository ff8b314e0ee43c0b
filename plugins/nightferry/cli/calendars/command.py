"""`nightferry calendar`: what the coming nights bring, and exceptions from what a calendar bars. Needs no Airflow."""

from __future__ import annotations

import argparse

from nightferry.cli.arguments import Subparsers, command
from nightferry.cli.calendars.coming import coming
from nightferry.cli.calendars.excepting import except_
from nightferry.cli.catalogue import HELP
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

EXAMPLES = """\
  nightferry calendar digits                    the coming 30 nights, and what would be released now
  nightferry calendar digits --days 365 --no-look
  nightferry calendar digits --ics nights.ics   for people's own calendars; - is the standard output
  nightferry calendar except digits --until 22:00 --reason "the fix for the outage"
  nightferry calendar except digits --confirm 42        another person; from then on it stands
"""
EXCEPT = "except"
DAYS, MOST_DAYS = 30, 1500
_OF_LIST, _OF_EXCEPTION = ("days", "ics", "no_look"), ("until", "reason", "confirm", "by")


def add_parsers(subparsers: Subparsers) -> None:
    """Add `calendar`."""
    add = command(subparsers, "calendar", calendar, HELP["calendar"], EXAMPLES)
    add.add_argument("words", metavar="[except] SERVICE", nargs="+", help="the service; after `except`, an exception")
    add.add_argument("--days", metavar="N", type=_days, help=f"so many days from now ({DAYS})")
    how = add.add_mutually_exclusive_group()
    how.add_argument("--ics", metavar="FILE", help="write them as iCalendar; - writes to the standard output")
    how.add_argument("--no-look", action="store_true", default=None, help="leave out what would be released now")
    add.add_argument("--until", metavar="TIME", help="with except: when it ends: 22:00, 2026-12-01T06:00")
    add.add_argument("--reason", metavar="TEXT", help="with except: why; it goes on the record")
    add.add_argument("--confirm", metavar="NUMBER", type=int, help="with except: confirm what another person asked for")
    add.add_argument("--by", metavar="NAME", help="with except: who says so (your account's name)")


def calendar(arguments: argparse.Namespace) -> int:
    """List the nights, or ask for an exception."""
    words = list(arguments.words)
    exception = len(words) == 2 and words[0] == EXCEPT
    if len(words) != 1 and not exception:
        raise Permanent(
            Reason.REQUEST_INVALID, "Name one service; an exception is `nightferry calendar except SERVICE`."
        )
    arguments.service = words[-1]
    for name in _OF_LIST if exception else _OF_EXCEPTION:
        if getattr(arguments, name) is not None:
            option = f"--{name.replace('_', '-')}"
            where = "is not for" if exception else "is for"
            raise Permanent(Reason.REQUEST_INVALID, f"{option} {where} `nightferry calendar except SERVICE`.")
    if exception:
        return except_(arguments)
    arguments.days = DAYS if arguments.days is None else arguments.days
    return coming(arguments)


def _days(written: str) -> int:
    if not written.isascii() or not written.isdigit() or not 1 <= int(written) <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_DAYS} is wanted, not {written!r}")
    return int(written)
