"""`nightferry rollback`: users get an earlier release again. It needs the cluster alone; Airflow may be down."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from nightferry import settings as settings_of
from nightferry.cli.arguments import Subparsers, command, service_argument
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import OK
from nightferry.cli.lookup import spec_of
from nightferry.cli.output import show_json, table
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.person import me
from nightferry.entities.reason import Reason
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.service_spec import Environment, ServiceSpec
from nightferry.errors import Permanent
from nightferry.settings import Settings
from nightferry.steps.rollout.back.earlier_releases import earlier
from nightferry.steps.rollout.back.roll_back import RolledBack, Wish, roll_back
from nightferry.steps.rollout.follow_route import carried_share
from nightferry.steps.rollout.lease.claims import of_person
from nightferry.steps.rollout.lease.give_way import take_away
from nightferry.steps.rollout.lease.leased_cluster import hold
from nightferry.steps.rollout.switch_service import in_use
from nightferry.steps.services.fill_settings import fill_settings

EXAMPLES = """\
  nightferry rollback digits --reason "wrong answers for sevens"            to the release before, everywhere
  nightferry rollback digits --to digits-2026-11-20.1 --reason "…"          to this one
  nightferry rollback digits --environment staging --reason "…"             there alone
  nightferry rollback digits --dry-run                                      where it would go
"""


def add_parsers(subparsers: Subparsers) -> None:
    """Add `rollback`."""
    add = command(subparsers, "rollback", rollback, HELP["rollback"], EXAMPLES)
    service_argument(add)
    add.add_argument("--to", metavar="RELEASE", help="which release users get (the one before)")
    add.add_argument("--reason", metavar="TEXT", help="why; it goes on the record")
    add.add_argument("--environment", choices=("production", "staging"), help="there alone (production, then staging)")
    add.add_argument("--by", metavar="NAME", help="who rolls back (your account's name)")
    add.add_argument("--dry-run", action="store_true", help="only say where it would go, and where it could")


def rollback(arguments: argparse.Namespace) -> int:
    """Go back in production first, then in the environments before it."""
    settings = settings_of.load()
    spec = fill_settings(spec_of(settings, arguments.service), settings.service_type)
    places = _places(spec, arguments.environment)
    if arguments.to:
        _check_name(arguments.service, arguments.to)
    if arguments.dry_run:
        return _dry_run(settings, spec, places, arguments.to, as_json=arguments.json)
    if not (arguments.reason or "").strip():
        raise Permanent(Reason.REQUEST_INVALID, "A rollback needs a reason: --reason TEXT; it goes on the record.")
    actor = arguments.by or me("--by")
    left, to, done = None, arguments.to, []
    clock = SystemClock()
    for environment in places:
        open_it = partial(connect.cluster, settings, environment.namespace, environment.cluster)
        with hold(open_it, of_person(spec.service, actor), clock, at_once=False) as held:
            if left is not None and in_use(held.cluster.get("Service", spec.service)) != left:
                continue  # its users do not get what was left
            wish = Wish(spec.service, environment, to, arguments.reason.strip(), actor)
            ended = roll_back(wish, cluster=held.cluster, ledger=connect.ledger_store(settings), clock=clock)
            take_away(held, environment, clock)
        left, to = ended.left or left, ended.to
        done.append(ended)
        if not arguments.json:
            print(_sentence(ended))
    if arguments.json:
        show_json([one.to_json() for one in done])
    return OK


def _places(spec: ServiceSpec, only: str | None) -> list[Environment]:
    found = [one for one in reversed(spec.environments) if only in (None, one.name)]
    if not found:
        has = " and ".join(one.name for one in spec.environments)
        raise Permanent(Reason.REQUEST_INVALID, f"{spec.service} has no environment {only}, but {has}.")
    return found


def _check_name(service: str, release: str) -> None:
    try:
        named = ReleaseId.parse(release).service
    except ValueError as fault:
        raise Permanent(
            Reason.REQUEST_INVALID, f"--to {release!r} is not the name of a release, such as {service}-2026-11-21.1."
        ) from fault
    if named != service:
        raise Permanent(Reason.REQUEST_INVALID, f"--to {release} is a release of {named}, not of {service}.")


def _dry_run(settings: Settings, spec: ServiceSpec, places: list[Environment], to: str | None, *, as_json: bool) -> int:
    rows = []
    for environment in places:
        cluster = connect.cluster(settings, environment.namespace, environment.cluster)
        stable = cluster.get("Service", spec.service)
        found = earlier(cluster, spec.service, stable) if stable else []
        share = carried_share(cluster, spec.service) if stable else None
        goes = to or (in_use(stable) if share else found[0] if found else None)
        rows.append({"environment": environment.name, "serves": in_use(stable), "goes_to": goes, "could_go_to": found})
    if as_json:
        show_json(rows)
        return OK
    table(("ENVIRONMENT", "SERVES", "WOULD GO TO", "COULD GO TO"), [_cells(row) for row in rows])
    return OK


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    could = ", ".join(row["could_go_to"]) or "-"
    return row["environment"], row["serves"] or "nothing", row["goes_to"] or "-", could


def _sentence(ended: RolledBack) -> str:
    if not ended.left:
        said = f"{ended.environment} serves {ended.to} already."
    elif ended.share < 100:
        said = (
            f"{ended.environment} serves {ended.to} alone again: {ended.left}, a canary that {ended.share} % of the "
            f"users got, gets nobody ({ended.seconds:g} s)."
        )
    else:
        said = f"{ended.environment} serves {ended.to} again instead of {ended.left} ({ended.seconds:g} s)."
    if not ended.recorded:
        said += " The record could not be told yet; the cluster holds what was done, and it is written down later."
    return said
