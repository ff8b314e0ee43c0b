"""`nightferry preview`: run a model at an address of its own for some hours, and compare it with the release in use."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from nightferry import settings as settings_of
from nightferry.cli.arguments import Subparsers, command
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import NOT_WELL, OK
from nightferry.cli.lookup import spec_of, zone_of
from nightferry.cli.output import local_time, show_json, table
from nightferry.cli.previews.ask import end_run, preview_run
from nightferry.cli.previews.follow import PreviewFindings, PreviewFollower
from nightferry.cli.previews.listing import listed
from nightferry.cli.previews.view import FAILED, PreviewView, print_view, service_of, view_of
from nightferry.cli.releasing.diff_page import page as diff_page
from nightferry.cli.releasing.patience import PatientAirflow
from nightferry.cli.releasing.progress import show_progress
from nightferry.cli.releasing.release import ask
from nightferry.clients import connect
from nightferry.clients.airflow.api import AirflowApi
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.frozen import problems
from nightferry.entities.preview import HOURS, UP, PreviewRequest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.record.preview_record import pinned_of, preview_entries
from nightferry.steps.record.state import read_state

EXAMPLES = """\
  nightferry preview digits --model 2026-11-20-linear --wait    build, test, start and compare it; watch that
  nightferry preview digits --model 2026-11-20-linear --commit SHA --hours 2 --reason "the new sevens"
  nightferry preview list                       what runs, whose it is, until when
  nightferry preview list digits
  nightferry preview show preview-digits-3      its address, and how its answers differ
  nightferry preview show preview-digits-3 --page diff.html
  nightferry preview end preview-digits-3       before its time is over
  nightferry preview promote preview-digits-3   ask for a release of that very model and commit

a preview is no release: no user gets it, it is not published, and it ends by itself.
a service that is called list, show, end or promote is previewed in Airflow, by the DAG preview.
"""
END_SECONDS = 180.0
VERBS = ("list", "show", "end", "promote")


def add_parsers(subparsers: Subparsers) -> None:
    """Add `preview`."""
    add = command(subparsers, "preview", preview, HELP["preview"], EXAMPLES)
    add.add_argument("what", metavar="SERVICE|list|show|end|promote", help="the service to preview, or what to do")
    add.add_argument("which", nargs="?", metavar="PREVIEW|SERVICE", help="the preview, such as preview-digits-3")
    add.add_argument("--model", metavar="VERSION", help="a published model version")
    add.add_argument("--commit", metavar="SHA", help="a commit (its full id), instead of the newest")
    add.add_argument("--hours", metavar="N", type=int, help=f"how long it runs ({HOURS})")
    add.add_argument("--reason", metavar="TEXT", default="", help="why; it goes on the record")
    add.add_argument("--page", metavar="FILE", help="with show: write which answers differ as an HTML page")
    add.add_argument("--wait", action="store_true", help="watch until it is up, or the release has ended")


def preview(arguments: argparse.Namespace) -> int:
    """Do what is asked."""
    doing = {"list": _list, "show": _show, "end": _end, "promote": _promote}.get(arguments.what, _start)
    allowed = {
        _start: {"model", "commit", "hours", "reason", "wait"},
        _list: set(),
        _show: {"page"},
        _end: {"reason"},
        _promote: {"reason", "wait"},
    }[doing]
    given = {name for name in ("model", "commit", "hours", "reason", "page", "wait") if getattr(arguments, name)}
    if given - allowed:
        named = " and ".join(f"--{name}" for name in sorted(given - allowed))
        raise Permanent(
            Reason.REQUEST_INVALID, f"{named} does not belong here; nightferry preview --help has examples."
        )
    if doing is _start and arguments.which:
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"{arguments.what!r} is none of {', '.join(VERBS)}; to preview a service, name it and nothing else.",
        )
    if doing in (_show, _end, _promote) and not arguments.which:
        raise Permanent(
            Reason.REQUEST_INVALID, f"Name the preview: nightferry preview {arguments.what} preview-digits-3."
        )
    return doing(arguments)


def _start(arguments: argparse.Namespace) -> int:
    settings, clock = settings_of.load(), SystemClock()
    if not arguments.model:
        raise Permanent(
            Reason.REQUEST_INVALID, f"Which model? --model VERSION; `nightferry models list {arguments.what}` has them."
        )
    request = _request(arguments)
    spec = spec_of(settings, request.service)
    airflow, store = AirflowApi.connect(settings), connect.ledger_store(settings)
    findings = PreviewFindings(store, spec.service)
    run, new = preview_run(PatientAirflow(airflow, clock), store, request, clock)
    where = f"{airflow.address}/dags/preview/runs/{run}"
    if not arguments.wait:
        if arguments.json:
            show_json({"service": spec.service, "run": run, "new": new, "page": where})
        else:
            print(f"Run {run} of preview {'has started' if new else 'is that request already'}.")
            print(f"In Airflow: {where}. What it comes to: nightferry preview list {spec.service}")
        return OK
    print(f"Run {run} of preview. In Airflow: {where}", file=sys.stderr)
    findings.of_run(run, look_back=not new)
    follower = PreviewFollower(airflow, "preview", run, spec, findings, clock)
    try:
        show_progress(follower, clock)
    except KeyboardInterrupt:
        print(f"\nIt goes on. Look: nightferry preview list {spec.service}", file=sys.stderr)
        raise
    print(file=sys.stderr)
    return _conclude(findings, follower.run.state, as_json=arguments.json)


def _conclude(findings: PreviewFindings, state: str, *, as_json: bool) -> int:
    if findings.preview:
        view = view_of([one for one in findings.entries], SystemClock().now())
        _print(view, as_json=as_json)
        return NOT_WELL if view.state == FAILED or state == "failed" else OK
    last = findings.entries[-1] if findings.entries else None
    if as_json:
        show_json({"preview": None, "reason": last and last.reason, "sentence": last and last.sentence})
    else:
        print(f"No preview [{last.reason}]: {last.sentence}" if last else "The run's log in Airflow says why.")
    return NOT_WELL


def _list(arguments: argparse.Namespace) -> int:
    settings, clock = settings_of.load(), SystemClock()
    found, silent = listed(settings, connect.ledger_store(settings), arguments.which, clock)
    for sentence in silent:
        print(f"nightferry: {sentence}", file=sys.stderr)
    if arguments.json:
        show_json([one.to_json() for one in found])
    elif not found:
        print("There is no preview.")
    else:
        headings = ("PREVIEW", "STATE", "CLUSTER", "BY", "UNTIL", "MODEL", "SOURCE", "ADDRESS")
        rows = []
        for one in found:
            zone = zone_of(settings, service_of(one.preview))
            until = local_time(one.until or "", zone)
            rows.append(
                (
                    one.preview,
                    one.state,
                    one.cluster,
                    one.by,
                    until or "-",
                    one.model,
                    one.commit[:8],
                    one.address or "-",
                )
            )
        table(headings, rows)
    return OK


def _show(arguments: argparse.Namespace) -> int:
    settings = settings_of.load()
    view = view_of(preview_entries(connect.ledger_store(settings), arguments.which), SystemClock().now())
    if arguments.page:
        _write_page(view, arguments.page)
    _print(view, as_json=arguments.json)
    return NOT_WELL if view.state == FAILED else OK


def _write_page(view: PreviewView, file: str) -> None:
    if view.diff is None:
        why = view.comparison or "it did not come so far."
        raise Permanent(Reason.REQUEST_INVALID, f"{view.preview} has no comparison to show: {why}")
    try:
        Path(file).write_text(diff_page(view.preview, {"preview": view.diff}, {}), encoding="utf-8")
    except OSError as fault:
        why = f"{file} cannot be written ({fault.strerror}); name another file."
        raise Permanent(Reason.REQUEST_INVALID, why) from fault


def _end(arguments: argparse.Namespace) -> int:
    settings, clock = settings_of.load(), SystemClock()
    store, name = connect.ledger_store(settings), arguments.which
    preview_entries(store, name)
    service = service_of(name)
    if _is_open(store, service, name):
        airflow = PatientAirflow(AirflowApi.connect(settings), clock)
        run = end_run(airflow, name, arguments.reason, clock)
        deadline = clock.monotonic() + END_SECONDS
        while _is_open(store, service, name):
            found = airflow.run("end_previews", run)
            if (found and found.ended and _is_open(store, service, name)) or clock.monotonic() >= deadline:
                raise Temporary(
                    Reason.AIRFLOW_UNAVAILABLE,
                    f"{name} is not ended yet; Airflow says why: {airflow.address}/dags/end_previews/runs/{run}. It "
                    "ends by itself when its time is over.",
                )
            clock.sleep(1.0)
    view = view_of(preview_entries(store, name), clock.now())
    if arguments.json:
        show_json(view.to_json())
    else:
        print(view.end or f"{name} is over.")
    return OK


def _is_open(store: LedgerStore, service: str, name: str) -> bool:
    return any(one.preview == name for one in read_state(store, service).previews)


def _promote(arguments: argparse.Namespace) -> int:
    """Ask for a release of what was previewed: with the person's own rights, and decided anew."""
    settings, clock = settings_of.load(), SystemClock()
    entries = preview_entries(connect.ledger_store(settings), arguments.which)
    pinned = pinned_of(entries)
    if all(entry.key != f"{pinned.preview}/{UP}" for entry in entries):
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"{pinned.preview} is not up, and never was, so nobody has seen what would be released; "
            f"`nightferry preview show {pinned.preview}` says more.",
        )
    candidate = pinned.candidate
    request = ReleaseRequest(
        model=candidate.model.version,
        commit=candidate.source.commit,
        reason=arguments.reason or f"seen as {pinned.preview}",
    )
    spec = spec_of(settings, pinned.service)
    words = f"--model {request.model} --commit {request.commit}"
    print(f"nightferry: This is `nightferry release {spec.service} {words}`, decided anew.", file=sys.stderr)
    return ask(settings, spec, request, clock, watch=arguments.wait, as_json=arguments.json)


def _print(view: PreviewView, *, as_json: bool) -> None:
    if as_json:
        show_json(view.to_json())
    else:
        print_view(view, zone_of(settings_of.load(), view.service))


def _request(arguments: argparse.Namespace) -> PreviewRequest:
    given = {name: getattr(arguments, name) for name in ("model", "commit", "hours", "reason")}
    named = {name: value for name, value in given.items() if value is not None}
    try:
        return PreviewRequest.model_validate({"service": arguments.what, **named})
    except ValidationError as fault:
        raise Permanent(
            Reason.REQUEST_INVALID, f"The request is not sound: --{'; --'.join(problems(fault))}."
        ) from fault
