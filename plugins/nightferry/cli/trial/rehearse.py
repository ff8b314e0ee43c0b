"""`nightferry rehearse`: would the releases that users can be sent back to start and answer? It tries now, and needs no
Airflow."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from nightferry import settings as settings_of
from nightferry.cli.arguments import Subparsers, command, service_argument
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import NOT_WELL, OK, UNAVAILABLE
from nightferry.cli.lookup import spec_of
from nightferry.cli.output import seconds, show_json, table
from nightferry.cli.trial.copy import open_trial_cluster
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.person import me
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ModelSource
from nightferry.errors import Permanent
from nightferry.steps.record.ledger import utc
from nightferry.steps.rollout.prepare_probe import prepare_probe
from nightferry.steps.trial.rehearse import LAST_RELEASES, rehearse

EXAMPLES = """\
  nightferry rehearse digits             the last three good releases; exit code 1: one would not start
  nightferry rehearse digits --last 1    the newest alone
"""
_EXITS = {Reason.REHEARSED: OK, Reason.REHEARSAL_UNSEEN: UNAVAILABLE}


def add_parsers(subparsers: Subparsers) -> None:
    """Add `rehearse`."""
    add = command(subparsers, "rehearse", rehearse_, HELP["rehearse"], EXAMPLES)
    service_argument(add)
    add.add_argument("--last", type=int, default=LAST_RELEASES, metavar="N", help="how many releases (%(default)s)")
    add.add_argument("--by", metavar="NAME", help="who asks, for the record (your account's name)")


def rehearse_(arguments: argparse.Namespace) -> int:
    """Try them, one after the other."""
    if arguments.last < 1:
        raise Permanent(Reason.REQUEST_INVALID, f"--last {arguments.last} is no number of releases; try 1 or more.")
    settings, clock = settings_of.load(), SystemClock()
    spec = spec_of(settings, arguments.service)
    with tempfile.TemporaryDirectory() as folder:
        entry = rehearse(
            spec.service,
            cluster=open_trial_cluster(settings, spec),
            ledger=connect.ledger_store(settings),
            prepare=lambda plan: prepare_probe(
                plan,
                connect.models(settings, ModelSource(repository=plan.model_repository)),
                Path(folder) / plan.release,
                clock,
            ),
            clock=clock,
            night=f"by-hand-{utc(clock.now())}",
            actor=arguments.by or me("--by"),
            last=arguments.last,
        )
    _print(entry, as_json=arguments.json)
    return _EXITS.get(Reason(entry.reason), NOT_WELL)


def _print(entry: LedgerEntry, *, as_json: bool) -> None:
    tried: list[dict[str, Any]] = entry.data["tried"]
    if as_json:
        show_json({"reason": entry.reason, "sentence": entry.sentence, "tried": tried})
        return
    if tried:
        headings = ("RELEASE", "RESULT", "TOOK", "WHAT IT FOUND")
        table(headings, [(one["release"], one["outcome"], seconds(one["seconds"]), one["sentence"]) for one in tried])
    print(entry.sentence if not tried else entry.sentence.partition(";")[0].rstrip(".") + ".")
