"""`nightferry release`: start a release through Airflow, and watch it."""

from __future__ import annotations

import argparse
import json
import re
import sys

from pydantic import ValidationError

from nightferry import settings as settings_of
from nightferry.cli.arguments import Subparsers, command, service_argument
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import NOT_WELL, OK
from nightferry.cli.lookup import spec_of
from nightferry.cli.output import show_json
from nightferry.cli.releasing.dry_run import dry_run
from nightferry.cli.releasing.follow import Findings, Follower
from nightferry.cli.releasing.patience import PatientAirflow
from nightferry.cli.releasing.progress import show_progress
from nightferry.cli.releasing.release_view import print_release, view_of
from nightferry.cli.releasing.request import Started, dag_of, note_joined, start
from nightferry.clients import connect
from nightferry.clients.airflow.api import AirflowApi
from nightferry.clients.clock import Clock, SystemClock
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.frozen import problems
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent
from nightferry.settings import Settings

EXAMPLES = """\
  nightferry release digits --wait                       the newest model and code, now; watch it
  nightferry release digits --model 2026-11-20-linear --reason "the new one is slow" --wait
  nightferry release digits --until published            build, test and publish it; the next request goes on with it
  nightferry release digits --dry-run                    what would be released, and why? nothing is changed

asking again for the same while it runs is the same release: it is watched, not started twice.
Ctrl-C ends the watching, not the release.
"""
_RUN_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.~:+-]{0,199}$")


def add_parsers(subparsers: Subparsers) -> None:
    """Add `release`."""
    add = command(subparsers, "release", release, HELP["release"], EXAMPLES)
    service_argument(add)
    add.add_argument("--model", metavar="VERSION", help="a published model version, instead of the newest")
    add.add_argument("--commit", metavar="SHA", help="a commit (its full id), instead of the newest")
    add.add_argument("--reason", metavar="TEXT", default="", help="why; it goes on the record")
    add.add_argument("--force", action="store_true", help="release even when nothing changed")
    add.add_argument("--until", choices=("published",), help="published: build, test and publish it, no more")
    add.add_argument("--resume", metavar="RELEASE", help="go on with a release that waits")
    add.add_argument("--request-id", metavar="ID", help="name of the request: the same name is the same release")
    how = add.add_mutually_exclusive_group()
    how.add_argument("--wait", action="store_true", help="watch it to its end, then print its record")
    how.add_argument("--dry-run", action="store_true", help="only say what would be decided")


def release(arguments: argparse.Namespace) -> int:
    """Start, and watch if asked to."""
    settings, clock = settings_of.load(), SystemClock()
    spec = spec_of(settings, arguments.service)
    request = _request(arguments)
    if arguments.dry_run:
        return dry_run(settings, spec, request, clock, as_json=arguments.json)
    if arguments.request_id and not _RUN_ID.match(arguments.request_id):
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"--request-id {arguments.request_id!r}: letters, digits and _ . ~ : + - are wanted, at most 200.",
        )
    return ask(
        settings, spec, request, clock, request_id=arguments.request_id, watch=arguments.wait, as_json=arguments.json
    )


def ask(
    settings: Settings,
    spec: ServiceSpec,
    request: ReleaseRequest,
    clock: Clock,
    *,
    request_id: str | None = None,
    watch: bool = False,
    as_json: bool = False,
) -> int:
    """Start a release, or find the one of the same request; watch it to its end where that is wanted. Raises as
    `wait`."""
    if watch:
        return wait(settings, spec, request, clock, request_id=request_id, as_json=as_json)
    airflow = AirflowApi.connect(settings)
    store = connect.ledger_store(settings)
    started = start(PatientAirflow(airflow, clock), store, spec, request, clock, request_id)
    _note(note_joined(store, spec, started, clock, request_id))
    if as_json:
        show_json({"service": spec.service, "run": started.run, "new": started.new, "page": page(airflow, started)})
    else:
        print(f"{_said(started)} Watch it: nightferry release {spec.service} --request-id {started.run} --wait")
        print(f"In Airflow: {page(airflow, started)}")
    return OK


def wait(
    settings: Settings,
    spec: ServiceSpec,
    request: ReleaseRequest,
    clock: Clock,
    *,
    request_id: str | None = None,
    as_json: bool = False,
) -> int:
    """Start a release, or find the one of the same request; show its progress on stderr and its record on stdout.

    Returns the exit code: 0 when it is in use or nothing was to be released, 1 when it failed.
    Raises as `start` and `show_progress`.
    """
    airflow, store = AirflowApi.connect(settings), connect.ledger_store(settings)
    findings = Findings(store, spec.service)
    started = start(PatientAirflow(airflow, clock), store, spec, request, clock, request_id)
    _note(note_joined(store, spec, started, clock, request_id))
    print(f"{_said(started)} In Airflow: {page(airflow, started)}", file=sys.stderr)
    findings.of_run(started.run, look_back=not started.new)
    follower = Follower(airflow, dag_of(spec), started.run, spec, findings, clock)
    try:
        show_progress(follower, clock)
    except KeyboardInterrupt:
        again = f"nightferry release {spec.service} --request-id {started.run} --wait"
        print(f"\nThe release goes on. Watch it again: {again}", file=sys.stderr)
        raise
    print(file=sys.stderr)
    return _conclude(follower, as_json=as_json)


def _conclude(follower: Follower, *, as_json: bool) -> int:
    spec, run, findings = follower.spec, follower.run, follower.findings
    failed = run.state == "failed"
    view = view_of(findings.whole(), findings.traffic()) if findings.release else None
    decision = findings.decision
    if as_json:
        show_json(
            {
                "service": spec.service,
                "run": run.id,
                "state": run.state,
                "decision": json.loads(decision.to_bytes()) if decision else None,
                "release": view.to_json() if view else None,
            }
        )
    elif view:
        print_release(view, spec.timezone)
    elif decision:
        print(f"No release [{decision.reason}]: {decision.sentence}")
    else:
        print("The run ended and nothing is on the record: its log in Airflow says why.")
    return NOT_WELL if failed else OK


def page(airflow: AirflowApi, started: Started) -> str:
    """The run's page in Airflow."""
    return f"{airflow.address}/dags/{started.dag}/runs/{started.run}"


def _note(sentence: str) -> None:
    if sentence:
        print(f"nightferry: {sentence}", file=sys.stderr)


def _said(started: Started) -> str:
    return f"Run {started.run} of {started.dag} {'has started' if started.new else 'is that request already'}."


def _request(arguments: argparse.Namespace) -> ReleaseRequest:
    given = {name: getattr(arguments, name) for name in ("model", "commit", "reason", "force", "until", "resume")}
    try:
        return ReleaseRequest.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as fault:
        raise Permanent(
            Reason.REQUEST_INVALID, f"The request is not sound: --{'; --'.join(problems(fault))}."
        ) from fault
