"""`nightferry quarantine`: model versions, code and settings that are not to be released. Needs no Airflow."""

from __future__ import annotations

import argparse

from nightferry import settings as settings_of
from nightferry.cli.arguments import Parser, Subparsers, command, group, service_argument
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import OK
from nightferry.cli.lookup import known, spec_of, zone_of
from nightferry.cli.output import local_time, show_json, table
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.clients.person import me
from nightferry.entities.barring.quarantine import Bar, Parts
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.settings import Settings
from nightferry.steps.record.bar import lift, quarantine, quarantines_of
from nightferry.steps.record.history import release_entries

LIST_EXAMPLES = "  nightferry quarantine list digits\n"
ADD_EXAMPLES = """\
  nightferry quarantine add digits --model v2 --reason "trained on the wrong month"
  nightferry quarantine add digits --source-of digits-2026-11-21.1 --reason "leaks memory"
"""
LIFT_EXAMPLES = '  nightferry quarantine lift digits 42 --reason "it was the load balancer"\n'


def add_parsers(subparsers: Subparsers) -> None:
    """Add `quarantine`."""
    commands = group(subparsers, "quarantine", HELP["quarantine"])
    service_argument(command(commands, "list", list_, "list what is barred from release, and why", LIST_EXAMPLES))
    add = command(commands, "add", add_, "bar a model version, or a release's code, from release", ADD_EXAMPLES)
    service_argument(add)
    what = add.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", metavar="VERSION", help="a published version of the service's model")
    what.add_argument("--source-of", metavar="RELEASE", help="the code of this release: any commit that leaves it so")
    _reason(add)
    lifting = command(commands, "lift", lift_, "let what was barred be released again", LIFT_EXAMPLES)
    service_argument(lifting)
    lifting.add_argument("number", metavar="NUMBER", type=int, help="as `quarantine list` shows it")
    _reason(lifting)


def list_(arguments: argparse.Namespace) -> int:
    """List the quarantines of a service."""
    settings = settings_of.load()
    store = connect.ledger_store(settings)
    known(settings, store, arguments.service)
    found = quarantines_of(store, arguments.service)
    zone = zone_of(settings, arguments.service)
    if arguments.json:
        show_json([one.to_json() for one in found])
    elif not found:
        print(f"Nothing of {arguments.service} is quarantined.")
    else:
        rows = [(str(one.number), one.words, local_time(one.since, zone), one.actor, one.sentence) for one in found]
        table(("NUMBER", "WHAT", "SINCE", "BY", "WHY"), rows)
    return OK


def add_(arguments: argparse.Namespace) -> int:
    """Bar something."""
    settings = settings_of.load()
    store = connect.ledger_store(settings)
    known(settings, store, arguments.service)
    bar = _model(settings, arguments) if arguments.model else _source(store, arguments)
    actor = arguments.by or me("--by")
    entry = quarantine(store, SystemClock(), arguments.service, bar, why=arguments.reason, actor=actor)
    if arguments.json:
        show_json({"service": arguments.service, "number": entry.sequence, "what": bar.words})
    else:
        print(f"{bar.words} is quarantined (number {entry.sequence}): no release of {arguments.service} takes it.")
        print("What users get now stays as it is; nightferry rollback goes back from it.")
    return OK


def lift_(arguments: argparse.Namespace) -> int:
    """Lift a quarantine."""
    settings = settings_of.load()
    store = connect.ledger_store(settings)
    known(settings, store, arguments.service)
    actor = arguments.by or me("--by")
    entry = lift(store, SystemClock(), arguments.service, arguments.number, why=arguments.reason, actor=actor)
    if arguments.json:
        show_json({"service": arguments.service, "lifted": arguments.number})
    else:
        print(entry.sentence)
    return OK


def _model(settings: Settings, arguments: argparse.Namespace) -> Bar:
    spec = spec_of(settings, arguments.service)
    model, _ = connect.models(settings, spec.model).pin(arguments.model)
    return Bar(parts=Parts(model=model.sha256), words=f"model {model.version}")


def _source(store: LedgerStore, arguments: argparse.Namespace) -> Bar:
    entries = release_entries(store, arguments.source_of)
    decision = Decision.model_validate(next(entry for entry in entries if entry.kind == Kind.DECISION).data)
    if decision.service != arguments.service:
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"{arguments.source_of} is a release of {decision.service}, not {arguments.service}.",
        )
    source = decision.candidate.source
    return Bar(parts=Parts(tree=source.tree), words=f"source {source.commit[:8]}")


def _reason(add: Parser) -> None:
    add.add_argument("--reason", metavar="TEXT", required=True, type=_text, help="why; it goes on the record")
    add.add_argument("--by", metavar="NAME", help="who says so (your account's name)")


def _text(written: str) -> str:
    if not written.strip():
        raise argparse.ArgumentTypeError("say why")
    return written.strip()
