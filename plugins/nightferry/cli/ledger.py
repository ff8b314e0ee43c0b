"""Looking after the record: `ledger verify` and `ledger export`."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from nightferry import settings as settings_of
from nightferry.cli.arguments import Subparsers, command, group, service_argument
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import OK
from nightferry.cli.lookup import known
from nightferry.cli.output import show_json
from nightferry.clients import connect
from nightferry.clients.clock import Clock, SystemClock
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record.export_ledger import export, verify_file
from nightferry.steps.record.verify_ledger import NotedHead, VerifiedChain, verify

VERIFY_EXAMPLES = """\
  nightferry ledger verify digits                  exit code 1 when an entry was changed; it is named
  nightferry ledger verify digits --head 19:d841…  also when entries were cut off the end since that head was noted
  nightferry ledger verify --file digits.jsonl     an exported ledger, without access to the storage
"""
EXPORT_EXAMPLES = "  nightferry ledger export digits digits.jsonl\n"
PROGRESS_SECONDS = 5.0
"""How often a long reading says how far it is."""
_HEAD = re.compile(r"(?:(?P<sequence>[1-9]\d*):)?(?P<digest>[0-9a-f]{64})")


def add_parsers(subparsers: Subparsers) -> None:
    """Add the commands about the record itself."""
    ledger = group(subparsers, "ledger", HELP["ledger"])
    add = command(ledger, "verify", verify_, "check that no entry of a service's record was changed", VERIFY_EXAMPLES)
    add.add_argument(
        "service", metavar="SERVICE", nargs="?", help="name of the service; with --file it may be left out"
    )
    add.add_argument("--file", metavar="FILE", type=Path, help="check this exported ledger; needs no storage")
    noted = "a head noted before, DIGEST or SEQUENCE:DIGEST, that has to be in it: shows when its end was cut off"
    add.add_argument("--head", metavar="HEAD", type=_noted, help=noted)
    add = command(ledger, "export", export_, "write a service's record to one file, and check it", EXPORT_EXAMPLES)
    service_argument(add)
    add.add_argument("file", metavar="FILE", type=Path, help="where to: one entry a line")
    add.add_argument("--force", action="store_true", help="write over a file that is there")


def verify_(arguments: argparse.Namespace) -> int:
    """Check a service's chain."""
    service, told = arguments.service, _Progress(SystemClock())
    if arguments.file:
        service, chain = verify_file(arguments.file, service, arguments.head, told)
    elif service:
        settings = settings_of.load()
        store = connect.ledger_store(settings)
        known(settings, store, service)
        chain = verify(store, service, arguments.head, told)
    else:
        raise Permanent(Reason.REQUEST_INVALID, "Name the service whose ledger is to be checked, or a --file.")
    if arguments.json:
        show_json({"service": service, "whole": True, **_facts(chain)})
    else:
        print(f"The ledger of {service} is whole: {chain.count} entries, the newest has digest {chain.head}.")
        _remarks(chain)
        if chain.count:
            print(f"Its head is {chain.count}:{chain.head}; noted elsewhere, it shows later when entries were cut off.")
    return OK


def export_(arguments: argparse.Namespace) -> int:
    """Write a chain to a file."""
    settings = settings_of.load()
    store = connect.ledger_store(settings)
    known(settings, store, arguments.service)
    told = _Progress(SystemClock())
    chain = export(store, arguments.service, arguments.file, force=arguments.force, progress=told)
    if arguments.json:
        show_json({"service": arguments.service, "file": str(arguments.file), **_facts(chain)})
    else:
        print(f"The ledger of {arguments.service} is in {arguments.file}: {chain.count} entries, whole.")
        _remarks(chain)
        print(f"Its head is {chain.count}:{chain.head}; keep it elsewhere than the file.")
    return OK


class _Progress:
    """Says on stderr how far a long reading is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said = clock.monotonic()

    def __call__(self, count: int, total: int) -> None:
        now = self._clock.monotonic()
        if now - self._said >= PROGRESS_SECONDS:
            self._said = now
            print(f"{count:,} of {total:,} entries are checked…", file=sys.stderr)


def _facts(chain: VerifiedChain) -> dict[str, object]:
    return {"count": chain.count, "head": chain.head, "strays": list(chain.strays), "newer": chain.newer}


def _remarks(chain: VerifiedChain) -> None:
    if chain.newer:
        print(f"{chain.newer} of them were written by a newer version of Nightferry; their digests are right.")
    for name in chain.strays:
        print(f"Beside the entries lies {name}, which is none of them: nothing reads it, find out who put it there.")


def _noted(text: str) -> NotedHead:
    found = _HEAD.fullmatch(text.strip().lower())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no head: it is a digest of 64 digits, or SEQUENCE:DIGEST")
    return NotedHead(found["digest"], int(found["sequence"]) if found["sequence"] else None)
