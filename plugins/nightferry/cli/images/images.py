"""`nightferry images`: list, check and prune the images of services. Needs no Airflow."""

from __future__ import annotations

import argparse

from nightferry import settings as settings_of
from nightferry.cli.arguments import Parser, Subparsers, command, group, service_argument
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import NOT_WELL, OK
from nightferry.cli.images import pruning
from nightferry.cli.images.telling import Telling
from nightferry.cli.lookup import spec_of
from nightferry.cli.output import show_json, size, table
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.steps.image.keep import KEEP, judge
from nightferry.steps.image.look import survey
from nightferry.steps.image.prune import room
from nightferry.steps.image.pullable import Checked, check_images

LIST_EXAMPLES = "  nightferry images list digits       every image, its size, and why it is kept\n"
CHECK_EXAMPLES = "  nightferry images check digits      exit code 1: something that is needed cannot be pulled\n"


def add_parsers(subparsers: Subparsers) -> None:
    """Add `images`."""
    commands = group(subparsers, "images", HELP["images"])
    listing = command(commands, "list", list_, "list the images of a service, and why each is kept", LIST_EXAMPLES)
    service_argument(listing)
    pruning.rule_arguments(listing)
    checking = command(commands, "check", check, "ask the registry for every part of what is needed", CHECK_EXAMPLES)
    service_argument(checking)
    _keep(checking)
    pruning.add_parser(commands)


def list_(arguments: argparse.Namespace) -> int:
    """List the images of a service."""
    settings, clock, rule = settings_of.load(), SystemClock(), pruning.rule_of(arguments)
    spec = spec_of(settings, arguments.service)
    tell = Telling()
    sight = pruning.lookout(settings, spec, tell).look()
    found = survey(connect.registry(settings), spec, tell)
    judged = judge(found, sight, keep=rule.keep, older_than=rule.older_than, now=clock.now())
    if arguments.json:
        show_json([pruning.facts(one) for one in judged])
        return OK
    if not judged:
        print(f"The registry has no image of {arguments.service}.")
        return OK
    table(("TAG", "DIGEST", "RELEASE", "SIZE", "WHY"), [row for one in judged for row in pruning.rows(one)])
    could = sum(1 for one in judged if not one.why)
    if could:
        print(f"{could} could go: at most {size(room(judged))}. nightferry images prune {arguments.service} --yes")
    return OK


def check(arguments: argparse.Namespace) -> int:
    """Check that what is needed can be pulled."""
    settings = settings_of.load()
    spec = spec_of(settings, arguments.service)
    tell = Telling()
    sight = pruning.lookout(settings, spec, tell).look()
    checked = check_images(sight, connect.registry(settings), arguments.keep, tell)
    broken = [one for one in checked if one.missing]
    if arguments.json:
        shown = [{"image": one.image, "needed": list(one.why), "missing": list(one.missing)} for one in checked]
        show_json({"service": arguments.service, "images": shown, "well": not broken})
    elif not checked:
        print(f"Nothing of {arguments.service} is needed yet.")
    else:
        table(("IMAGE", "PULLABLE", "NEEDED"), [_cells(one) for one in checked])
        if broken:
            print(
                f"{len(broken)} of {len(checked)} cannot be pulled: restore the repository, or release again; the same "
                "inputs give the same digest."
            )
    return NOT_WELL if broken else OK


def _cells(one: Checked) -> tuple[str, str, str]:
    gone = one.missing
    state = "yes" if not gone else "no manifest" if gone[0] in one.image else f"no {gone[0][:19]}… ({len(gone)} parts)"
    return one.image, state, "; ".join(one.why)


def _keep(parser: Parser) -> None:
    parser.add_argument("--keep", metavar="N", type=pruning.number, default=KEEP, help=f"good releases ({KEEP})")
