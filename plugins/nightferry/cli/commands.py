"""The command line: which commands there are."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from nightferry import __version__
from nightferry.cli.arguments import Parser, Subparsers
from nightferry.cli.catalogue import MODULES

DESCRIPTION = "Ship AI services at night, and know afterwards what shipped and why."
EPILOG = """\
a first look, from a checkout of the project:
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


def parser(words: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """The command line.

    Args:
        words: what will be parsed: of the commands, only the one that is chosen is loaded. None: all of them are.
    """
    top = Parser(prog="nightferry", description=DESCRIPTION, epilog=EPILOG)
    top.add_argument("--version", action="version", version=f"nightferry {__version__}")
    top.add_argument("--no-color", action="store_true", help="plain text (NO_COLOR in the environment does the same)")
    subparsers: Subparsers = top.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    # The options before a command take no value, so the first other word is the command.
    chosen = None if words is None else next((word for word in words if not word.startswith("-")), "")
    for module, commands in MODULES.items():
        if chosen is None or chosen in commands:
            importlib.import_module(module).add_parsers(subparsers)
        else:
            for name, help in commands.items():
                subparsers.add_parser(name, help=help)
    return top
