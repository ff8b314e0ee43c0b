"""How the subcommands declare themselves."""

from __future__ import annotations

import argparse
from typing import Any

Subparsers = Any
"""What `add_subparsers` returns; argparse has no public name for it."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose examples keep their lines; every subcommand is one too."""

    def __init__(self, **given: Any) -> None:
        given.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        given.setdefault("allow_abbrev", False)
        super().__init__(**given)


def command(subparsers: Subparsers, name: str, run: Any, help: str, examples: str = "") -> Parser:
    """Add a subcommand that `run(arguments) -> exit code` carries out, with --json."""
    epilog = f"examples:\n{examples.rstrip()}" if examples else None
    parser: Parser = subparsers.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".", epilog=epilog)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.set_defaults(run=run)
    return parser


def group(subparsers: Subparsers, name: str, help: str) -> Subparsers:
    """Add a command that has subcommands of its own."""
    parser: Parser = subparsers.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    return parser.add_subparsers(metavar="COMMAND", dest=f"{name}_command", required=True)


def service_argument(parser: Parser) -> None:
    """The service's name."""
    parser.add_argument("service", metavar="SERVICE", help="name of the service, as in its service file")
