"""The command line: which commands there are."""

from __future__ import annotations

import argparse

from nightferry import __version__
from nightferry.cli import init, ledger, models, record, sample, sandbox, services
from nightferry.cli.arguments import Parser, Subparsers
from nightferry.cli.releasing import release

DESCRIPTION = "Ship AI services at night, and know afterwards what shipped and why."
EPILOG = """\
a first look:
  nightferry up                              start the sandbox: every part of a release, on this machine
  nightferry sample                          publish the sample model and release it
  nightferry status                          is everything well?

every day:
  nightferry history digits                  decisions and releases, newest first
  nightferry show digits-2026-11-21.1        one release: steps, times, image, model, source
  nightferry release digits --wait           release now and watch it
  curl $(nightferry url digits)/version      what answers now?

exit codes: 0 well · 1 what was asked about is not well (a failed release, a broken ledger) ·
  2 bad input · 3 an outside system is unavailable · 70 a fault of nightferry itself ·
  130 interrupted
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = Parser(prog="nightferry", description=DESCRIPTION, epilog=EPILOG)
    top.add_argument("--version", action="version", version=f"nightferry {__version__}")
    top.add_argument("--no-color", action="store_true", help="plain text (NO_COLOR in the environment does the same)")
    subparsers: Subparsers = top.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for commands in (release, record, ledger, init, models, services, sandbox, sample):
        commands.add_parsers(subparsers)
    return top
