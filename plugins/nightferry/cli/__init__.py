"""The command `nightferry`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import TextIO, cast

from nightferry.cli.commands import parser
from nightferry.cli.exit_codes import INTERRUPTED, OK, OWN_FAULT, USAGE, of
from nightferry.cli.output import Masked
from nightferry.errors import NightferryError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; no traceback reaches a user unless NIGHTFERRY_DEBUG=1."""
    with redirect_stdout(cast(TextIO, Masked(sys.stdout))), redirect_stderr(cast(TextIO, Masked(sys.stderr))):
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    words = sys.argv[1:] if argv is None else argv
    arguments = argparse.Namespace()
    debug = os.environ.get("NIGHTFERRY_DEBUG") == "1"
    try:
        parser(words).parse_args(words, arguments)
        if arguments.no_color:
            os.environ["NO_COLOR"] = "1"
        return int(arguments.run(arguments))
    except NightferryError as fault:
        if debug:
            raise
        print(f"nightferry: {fault.sentence} [{fault.reason}]", file=sys.stderr)
        if getattr(arguments, "json", False):
            print(json.dumps({"error": {"reason": fault.reason, "sentence": fault.sentence}}))
        return of(fault)
    except KeyboardInterrupt:
        print("nightferry: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, `head` for one, has seen enough; nothing may be written at exit any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as fault:
        if debug:
            raise
        return _unforeseen(fault)


def _unforeseen(fault: Exception) -> int:
    if isinstance(fault, ModuleNotFoundError):
        again = "install nightferry again, with all that it needs"
        print(f"nightferry: The Python module {fault.name} is not installed here: {again}.", file=sys.stderr)
        return USAGE
    named = f"{type(fault).__name__}: {fault}".strip(": ")
    print(f"nightferry: unexpected: {named} (NIGHTFERRY_DEBUG=1 shows where)", file=sys.stderr)
    return OWN_FAULT
