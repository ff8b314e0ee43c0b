"""Reading the record: `history`, `show`, and `url`. None of it needs Airflow."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from nightferry import settings as settings_of
from nightferry.cli.arguments import Subparsers, command, service_argument
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import NOT_WELL, OK
from nightferry.cli.lookup import known, spec_of, zone_of
from nightferry.cli.output import local_time, show_json, table
from nightferry.cli.previews.view import view_of as view_of_preview
from nightferry.cli.releasing.diff_page import page
from nightferry.cli.releasing.golden_pictures import golden_pictures
from nightferry.cli.releasing.release_view import ReleaseView, print_release, view_of
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent
from nightferry.settings import Settings
from nightferry.steps.record.history import HistoryLine, history, release_entries
from nightferry.steps.record.preview_record import previews_of
from nightferry.steps.record.state import read_state
from nightferry.steps.services.addresses import Address, addresses
from nightferry.steps.services.host_names import known_here

HISTORY_EXAMPLES = """\
  nightferry history digits            the last 20 decisions, newest first
  nightferry history digits --limit 0  all of them
  nightferry history digits --previews the previews, which are no releases
"""
SHOW_EXAMPLES = """\
  nightferry show digits-2026-11-21.1
  nightferry show digits-2026-11-21.1 --page diff.html   which answers changed, with pictures
"""
URL_EXAMPLES = """\
  nightferry url digits                the address users call
  nightferry url digits staging
  nightferry url digits --all          every address: through the gateway, past it, inside the cluster
  curl $(nightferry url digits)/version
"""


def add_parsers(subparsers: Subparsers) -> None:
    """Add the commands that read."""
    add = command(subparsers, "history", history_, HELP["history"], HISTORY_EXAMPLES)
    service_argument(add)
    add.add_argument("--limit", type=int, default=20, metavar="N", help="how many lines, 0 for all (%(default)s)")
    add.add_argument("--previews", action="store_true", help="the previews, instead of decisions")
    add = command(subparsers, "show", show, HELP["show"], SHOW_EXAMPLES)
    add.add_argument("release", metavar="RELEASE", help="name of the release, such as digits-2026-11-21.1")
    add.add_argument("--page", type=Path, metavar="FILE", help="write which answers changed as an HTML page")
    add = command(subparsers, "url", url, HELP["url"], URL_EXAMPLES)
    service_argument(add)
    add.add_argument("--all", action="store_true", help="print every address, the one for this machine first")
    environments = ("production", "staging")
    add.add_argument("environment", nargs="?", default="production", choices=environments, help="(%(default)s)")


def history_(arguments: argparse.Namespace) -> int:
    """List decisions, newest first."""
    settings = settings_of.load()
    store = connect.ledger_store(settings)
    if arguments.previews:
        return _previews(settings, store, arguments)
    lines = list(islice(history(store, arguments.service), arguments.limit or None))
    if not lines:
        known(settings, store, arguments.service)
    if arguments.json:
        show_json([asdict(line) for line in lines])
    elif not lines:
        print(f"Nothing was decided for {arguments.service} yet.")
    else:
        zone = zone_of(settings, arguments.service)
        headings = ("WHEN", "RELEASE", "ASKED BY", "DECIDED", "OUTCOME", "SERVES", "WHAT HAPPENED")
        table(headings, [(local_time(line.time, zone), *_cells(line)) for line in lines])
    return OK


def _previews(settings: Settings, store: LedgerStore, arguments: argparse.Namespace) -> int:
    known(settings, store, arguments.service)
    now = SystemClock().now()
    found = [
        view_of_preview(one, now) for one in islice(previews_of(store, arguments.service), arguments.limit or None)
    ]
    if arguments.json:
        show_json([view.to_json() for view in found])
    elif not found:
        print(f"There was no preview of {arguments.service} yet.")
    else:
        zone = zone_of(settings, arguments.service)
        rows = [
            (
                local_time(view.since, zone),
                view.preview,
                view.state,
                view.by,
                view.model,
                view.end or view.comparison or "",
            )
            for view in found
        ]
        table(("WHEN", "PREVIEW", "STATE", "BY", "MODEL", "WHAT HAPPENED"), rows)
    return OK


def _cells(line: HistoryLine) -> tuple[str, ...]:
    waits = f"waits ({line.waits})" if line.waits else None
    outcome = waits or line.outcome or ("not ended" if line.release else "-")
    serves = [f"{name} (drift)" if name in line.drifts else name for name in line.serves]
    serves += [f"{name} (canary at {share} %)" for name, share in line.shares.items()]
    return line.release or "-", line.asked, line.decided, outcome, ", ".join(serves) or "-", line.sentence


def show(arguments: argparse.Namespace) -> int:
    """Show one release."""
    settings = settings_of.load()
    store = connect.ledger_store(settings)
    entries = release_entries(store, arguments.release)
    state = read_state(store, entries[0].service)
    view = view_of(entries, state.traffic, state.drifts, state.rehearsal)
    if arguments.page:
        write_page(settings, view, arguments.page)
    if arguments.json:
        show_json(view.to_json())
    else:
        print_release(view, zone_of(settings, view.service))
    return _well(view)


def write_page(settings: Settings, view: ReleaseView, file: Path) -> None:
    """Write how the release's answers differ from those of the release before it as a page.

    Raises:
        Permanent: (request_invalid) there is nothing to show, or the file cannot be written.
    """
    release = str(view.decision.release)
    if not view.diffs:
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"{release} was not compared with a release in use: its service file had neither gate `flips` nor `p95`, "
            "nothing was in use, or it did not come so far.",
        )
    changes = [change for diff in view.diffs.values() for change in diff.largest]
    text = page(release, view.diffs, golden_pictures(settings, view.decision, changes))
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as fault:
        why = f"{file} cannot be written ({fault.strerror}); name another file."
        raise Permanent(Reason.REQUEST_INVALID, why) from fault


def _well(view: ReleaseView) -> int:
    return OK if view.outcome in (None, Reason.RELEASED) else NOT_WELL


def url(arguments: argparse.Namespace) -> int:
    """Print a service's address, or all of them."""
    settings = settings_of.load()
    spec = spec_of(settings, arguments.service)
    found = addresses_of(settings, spec, arguments.environment, every=arguments.all)
    gateway = spec.environment(arguments.environment).traffic
    if arguments.json:
        more = {"all": [asdict(one) for one in found]} if arguments.all else {}
        show_json({"service": spec.service, "environment": arguments.environment, "url": found[0].url, **more})
    elif arguments.all:
        table(("ADDRESS", "BY", "FROM HERE"), [(one.url, one.by, "yes" if one.known else "-") for one in found])
    else:
        print(found[0].url)
    if gateway and found[0].by != "gateway":
        names = " and ".join(gateway.hosts)
        print(
            f"This is the Service, past the gateway: it has no route yet, or nobody here knows {names}.",
            file=sys.stderr,
        )
    return OK


def address_of(settings: Settings, spec: ServiceSpec, name: str) -> str:
    """The address that users of an environment call from this machine. Raises as `addresses`."""
    return addresses_of(settings, spec, name)[0].url


def addresses_of(settings: Settings, spec: ServiceSpec, name: str, *, every: bool = False) -> Sequence[Address]:
    """The addresses of an environment, the one for this machine first. Raises as `addresses`."""
    try:
        environment = spec.environment(name)
    except KeyError as fault:
        has = " and ".join(environment.name for environment in spec.environments)
        raise Permanent(Reason.REQUEST_INVALID, f"{spec.service} has no environment {name}, but {has}.") from fault
    cluster = connect.cluster(settings, environment.namespace, environment.cluster)
    return addresses(cluster, spec.service, environment.traffic, settings.gateway_port, known_here, every=every)
