"""`nightferry services left-over` and `services retire`: services without a file any more, and what they still hold."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

from nightferry import settings as settings_of
from nightferry.cli.arguments import Subparsers, command
from nightferry.cli.exit_codes import NOT_WELL, OK
from nightferry.cli.output import show_json, table
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.cluster import Cluster
from nightferry.entities.service_spec import CLUSTER
from nightferry.errors import NightferryError
from nightferry.settings import Settings
from nightferry.steps.rollout.lease.claims import of_housekeeping
from nightferry.steps.rollout.lease.leased_cluster import hold
from nightferry.steps.rollout.left_over import LeftOver, left_over, retire_left_over
from nightferry.steps.services.load_services import LoadedServices, load_services

LEFT_OVER_EXAMPLES = """\
  nightferry services left-over                    exit code 1: something is left of services without a file
  nightferry services left-over --namespace crm    look there too: no service file names it any more
"""
RETIRE_EXAMPLES = """\
  nightferry services retire letters               what would be removed; nothing is changed
  nightferry services retire letters --yes         remove the releases that are not in use
  nightferry services retire letters --all --yes   remove everything: its users get no answer any more
"""


def add_parsers(commands: Subparsers) -> None:
    """Add both to `services`."""
    add = command(
        commands, "left-over", list_, "list what is left of services whose files were removed", LEFT_OVER_EXAMPLES
    )
    _place_arguments(add)
    add = command(
        commands, "retire", retire, "remove what is left of a service whose file was removed", RETIRE_EXAMPLES
    )
    add.add_argument("service", metavar="SERVICE", help="name of the service that has no file any more")
    add.add_argument("--all", action="store_true", dest="everything", help="also the release in use, and the Service")
    add.add_argument("--yes", action="store_true", help="do it; without it, only what would be done is shown")
    _place_arguments(add)


def _place_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--namespace", help="look there too, beside the namespaces that service files name")
    parser.add_argument("--cluster", default=CLUSTER, help="the connection of that namespace's cluster (%(default)s)")


def list_(arguments: argparse.Namespace) -> int:
    """List what is left, per namespace. Namespaces that cannot be looked at are named at the end."""
    found: list[tuple[str, LeftOver]] = []
    faults: list[NightferryError] = []
    for connection, cluster, known in _places(settings_of.load(), arguments):
        try:
            found += [(connection, one) for one in left_over(cluster, known)]
        except NightferryError as fault:  # the other namespaces are looked at all the same
            faults.append(fault)
    if arguments.json:
        show_json([{"cluster": connection, **one.to_json()} for connection, one in found])
    elif found:
        _show(found)
        print("Nobody releases these any more. `nightferry services retire SERVICE` shows what can be removed.")
    elif not faults:
        print("Nothing is left of services without a file.")
    if faults:
        raise faults[0]
    return NOT_WELL if found else OK


def retire(arguments: argparse.Namespace) -> int:
    """Remove what is left of one service, or show what would be removed."""
    found: list[tuple[str, LeftOver]] = []
    removed: list[tuple[str, str, tuple[str, ...]]] = []
    settings, clock = settings_of.load(), SystemClock()
    for connection, cluster, known in _places(settings, arguments):
        for one in left_over(cluster, known):
            if one.service == arguments.service:
                found.append((connection, one))
                if arguments.yes:
                    open_it = partial(connect.cluster, settings, one.namespace, connection)
                    claim = of_housekeeping(one.service, "services retire")
                    with hold(open_it, claim, clock, at_once=True) as held:
                        gone = retire_left_over(held.cluster, one.service, clock, everything=arguments.everything)
                    removed.append((connection, one.namespace, gone))
    if arguments.json:
        headings = ("cluster", "namespace", "removed")
        show_json({"service": arguments.service, "removed": [dict(zip(headings, one, strict=True)) for one in removed]})
    elif not found:
        print(f"Nothing is left of {arguments.service} in the namespaces where no service file names it.")
    elif not arguments.yes:
        _show(found)
        what = "everything of it" if arguments.everything else "every release but the one in use"
        print(f"Nothing was changed. With --yes, {what} is removed.")
    else:
        for _, namespace, gone in removed:
            print(f"{namespace}: removed {', '.join(gone) or 'nothing'}.")
    return OK


def _places(settings: Settings, arguments: argparse.Namespace) -> Iterator[tuple[str, Cluster, set[str]]]:
    """Every namespace to look at: its cluster's connection, the namespace, and the services that belong there."""
    loaded = load_services(settings.services_folders, settings.expandable)
    places = {(one.cluster, one.namespace) for spec, _ in loaded.specs.values() for one in spec.environments}
    if arguments.namespace:
        places.add((arguments.cluster, arguments.namespace))
    for connection, namespace in sorted(places):
        yield connection, connect.cluster(settings, namespace, connection), _known(loaded, namespace)


def _known(loaded: LoadedServices, namespace: str) -> set[str]:
    """The services that belong into a namespace, whatever cluster their files name: two connections may be one cluster.

    A file that cannot be read is no file that was removed: its service counts everywhere.
    """
    named = {
        name for name, (spec, _) in loaded.specs.items() if any(one.namespace == namespace for one in spec.environments)
    }
    return named | {problem.service for problem in loaded.problems}


def _show(found: list[tuple[str, LeftOver]]) -> None:
    rows = [
        (
            one.service,
            one.namespace,
            connection,
            one.in_use or "-",
            ", ".join(name for name in sorted(one.releases) if name != one.in_use) or "-",
            str(sum(one.releases.values())),
        )
        for connection, one in found
    ]
    table(("SERVICE", "NAMESPACE", "CLUSTER", "IN USE", "OTHER RELEASES", "PODS"), rows)
