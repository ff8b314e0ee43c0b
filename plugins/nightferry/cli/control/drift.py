"""`nightferry drift`: does what runs differ from what the record says? It looks now, and needs no Airflow."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from nightferry import settings as settings_of
from nightferry.cli.arguments import Subparsers, command, service_argument
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import NOT_WELL, OK, UNAVAILABLE
from nightferry.cli.lookup import known
from nightferry.cli.output import show_json, table
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.clients.person import me
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent
from nightferry.settings import Settings
from nightferry.steps.record.drift_record import DriftPlace, record_drift
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.back.finish_release import decided_environment
from nightferry.steps.rollout.drift.look import Look, look

EXAMPLES = """\
  nightferry drift digits                            every environment; exit code 1: something differs
  nightferry drift digits --environment production   there alone
  nightferry drift digits --record                   and write it on the record, as the DAG `drift` does
"""


def add_parsers(subparsers: Subparsers) -> None:
    """Add `drift`."""
    add = command(subparsers, "drift", drift, HELP["drift"], EXAMPLES)
    service_argument(add)
    add.add_argument("--environment", choices=("production", "staging"), help="there alone (every one)")
    add.add_argument("--record", action="store_true", help="write what is found on the record; otherwise nothing is")
    add.add_argument("--by", metavar="NAME", help="who looked, for the record (your account's name)")


def drift(arguments: argparse.Namespace) -> int:
    """Look at each environment."""
    settings = settings_of.load()
    try:
        ledger = connect.ledger_store(settings)
        names = _environments(settings, ledger, arguments.service, arguments.environment)
    except NightferryError as fault:
        if fault.reason in (Reason.SERVICE_UNKNOWN, Reason.REQUEST_INVALID):
            raise
        return _could_not(str(fault.reason), fault.sentence)
    rows, seen, failed = [], [], False
    for name in names:
        try:
            one = _look(settings, ledger, arguments, name)
        except NightferryError as fault:  # the others are looked at all the same
            failed = True
            rows.append({"environment": name, "error": {"reason": fault.reason, "sentence": fault.sentence}})
            continue
        seen.append(one)
        rows.append(_row(one))
    if arguments.json:
        show_json(rows)
    else:
        _print(arguments.service, rows, seen)
    if any(one.drifts for one in seen):
        return NOT_WELL
    return UNAVAILABLE if failed else OK


def _environments(settings: Settings, ledger: LedgerStore, service: str, only: str | None) -> list[str]:
    """Those in which the record knows of a release, or did."""
    served = list(read_state(ledger, service).traffic)
    if not served:
        known(settings, ledger, service)
    if only and only not in served:
        raise Permanent(Reason.REQUEST_INVALID, f"By the record, nothing of {service} was ever in use in {only}.")
    return [only] if only else served


def _look(settings: Settings, ledger: LedgerStore, arguments: argparse.Namespace, name: str) -> Look:
    service = arguments.service
    traffic = read_state(ledger, service).traffic.get(name)
    if traffic is None or traffic.release is None:
        return Look(service, name, None)
    place = decided_environment(ledger, service, name)
    cluster, clock = connect.cluster(settings, place.namespace, place.cluster), SystemClock()
    seen = look(service, name, cluster=cluster, ledger=ledger, clock=clock)
    if arguments.record and seen.release and not seen.under_way:
        where = DriftPlace(service, name, place.namespace, seen.release, arguments.by or me("--by"))
        record_drift(ledger, clock, where, seen.drifts, seen.unseen)
    return seen


def _row(one: Look) -> dict[str, Any]:
    drifts = [{**drift.to_json(), "cause": drift.cause, "sentence": drift.sentence} for drift in one.drifts]
    return {"environment": one.environment, "release": one.release, "under_way": one.under_way, "drift": drifts}


def _print(service: str, rows: list[dict[str, Any]], seen: list[Look]) -> None:
    found = [(one.environment, drift) for one in seen for drift in one.drifts]
    if found:
        headings = ("ENVIRONMENT", "WHERE", "WHAT", "BY THE RECORD", "FOUND")
        table(headings, [(name, one.where, one.what, one.expected, one.found) for name, one in found])
    for one in seen:
        if one.under_way:
            print(f"{one.environment}: not judged now. {one.under_way}")
        elif not one.drifts:
            runs = f"runs {one.release} as the record says" if one.release else "serves nothing, by the record"
            print(f"{one.environment} of {service} {runs}.")
    if not rows:
        print(f"Nothing of {service} is in use, by the record.")
    for row in rows:
        if "error" in row:
            _could_not(f"{row['environment']}: {row['error']['reason']}", row["error"]["sentence"])


def _could_not(what: str, sentence: str) -> int:
    print(f"{what}: {sentence}", file=sys.stderr)
    return UNAVAILABLE
