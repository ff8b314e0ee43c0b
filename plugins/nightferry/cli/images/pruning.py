"""`nightferry images prune`: what nothing needs, and how much room it takes; with --yes it is removed."""

from __future__ import annotations

import argparse
import datetime as dt
import re
import sys
from collections.abc import Iterator
from typing import Any

from nightferry import settings as settings_of
from nightferry.cli.arguments import Parser, Subparsers, command
from nightferry.cli.exit_codes import OK, of
from nightferry.cli.images.telling import Telling
from nightferry.cli.lookup import spec_of
from nightferry.cli.output import show_json, size, table
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.person import me
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import NightferryError, Permanent
from nightferry.settings import Settings
from nightferry.steps.image.keep import KEEP, OLDER_THAN, RECENT, Judged, judge
from nightferry.steps.image.look import Lookout, survey
from nightferry.steps.image.prune import Pruned, Rule, prune, room
from nightferry.steps.services.load_services import load_services

EXAMPLES = """\
  nightferry images prune digits                     what would go; nothing is changed
  nightferry images prune digits --yes               remove it
  nightferry images prune --all --older-than 30d --keep 5 --yes
"""
_AGE = re.compile(r"(\d{1,5})([hd])")


def add_parser(commands: Subparsers) -> None:
    """Add `prune` to `images`."""
    add = command(commands, "prune", prune_, "remove the images that nothing needs, or say which they are", EXAMPLES)
    add.add_argument("service", metavar="SERVICE", nargs="?", help="name of the service, as in its service file")
    add.add_argument("--all", action="store_true", help="every service that has a file")
    rule_arguments(add)
    really = add.add_mutually_exclusive_group()
    really.add_argument("--dry-run", action="store_true", help="only say what would go, as without --yes")
    really.add_argument("--yes", action="store_true", help="remove it")
    add.add_argument("--by", metavar="NAME", help="who prunes (your account's name)")


def prune_(arguments: argparse.Namespace) -> int:
    """Show what could go; with --yes, remove it."""
    if arguments.all == bool(arguments.service):
        raise Permanent(Reason.REQUEST_INVALID, "Name one service, or say --all.")
    rule, settings = rule_of(arguments), settings_of.load()
    actor = (arguments.by or me("--by")) if arguments.yes else ""
    shown: list[dict[str, Any]] = []
    faults: list[NightferryError] = []
    for name, spec in _services(settings, arguments, faults):
        try:
            judged, done = _one(settings, spec, rule, actor)
        except NightferryError as fault:
            if not arguments.all:
                raise
            print(f"{name}: {fault.sentence}", file=sys.stderr)
            faults.append(fault)
            continue
        faults += done.refused[:1] if done else []
        shown.append(_shown(name, judged, done))
        if not arguments.json:
            _say(name, judged, done)
    if arguments.json:
        show_json(shown if arguments.all else shown[0])
    elif not arguments.yes and any(one["could_go"] for one in shown):
        print("Nothing was changed. With --yes, they are removed.")
    return of(faults[0]) if faults else OK


def rule_arguments(parser: Parser) -> None:
    """By what is kept."""
    parser.add_argument("--keep", metavar="N", type=number, default=KEEP, help=f"good releases to go back to ({KEEP})")
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        type=age,
        default=OLDER_THAN,
        help=f"keep what was asked for since, e.g. 12h or 30d ({OLDER_THAN.days}d; at least {RECENT.seconds // 3600}h)",
    )


def rule_of(arguments: argparse.Namespace) -> Rule:
    """As it was said."""
    return Rule(arguments.keep, arguments.older_than)


def lookout(settings: Settings, spec: ServiceSpec, tell: Telling) -> Lookout:
    """What looks at a service's record and clusters."""
    return Lookout(
        spec,
        connect.ledger_store(settings),
        lambda connection, namespace: connect.cluster(settings, namespace, connection),
        tell,
    )


def facts(one: Judged) -> dict[str, Any]:
    """An image for programs."""
    return {
        "repository": one.image.repository,
        "digest": one.image.digest,
        "tags": list(one.found.tags),
        "release": one.release,
        "bytes": one.found.stored.size,
        "could_go": not one.why,
        "kept": list(one.why),
    }


def rows(one: Judged) -> list[tuple[str, ...]]:
    """An image for people: a row for each tag."""
    rest = (one.image.digest[:19], one.release or "-", size(one.found.stored.size), "; ".join(one.why) or "could go")
    name = one.image.repository.rpartition("/")[2]
    return [(f"{name}:{tag[:31]}", *rest) for tag in one.found.tags]


def number(written: str) -> int:
    """How many releases: one at least."""
    if not written.isdecimal() or int(written) < 1:
        raise argparse.ArgumentTypeError("a number of 1 or more")
    return int(written)


def age(written: str) -> dt.timedelta:
    """`12h` or `7d`."""
    found = _AGE.fullmatch(written.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"{written!r} is no age; write 12h or 7d")
    told = dt.timedelta(hours=int(found[1])) if found[2] == "h" else dt.timedelta(days=int(found[1]))
    if told < RECENT:
        raise argparse.ArgumentTypeError(
            f"{written} is too short: what was decided in the last {RECENT.seconds // 3600} hours is always kept"
        )
    return told


def _services(
    settings: Settings, arguments: argparse.Namespace, faults: list[NightferryError]
) -> Iterator[tuple[str, ServiceSpec]]:
    if arguments.service:
        yield arguments.service, spec_of(settings, arguments.service)
        return
    loaded = load_services(settings.services_folders, settings.expandable)
    for problem in loaded.problems:
        print(f"{problem.service}: not looked at. {problem.sentence}", file=sys.stderr)
        faults.append(Permanent(problem.reason, problem.sentence))
    for name, (spec, _) in loaded.specs.items():
        yield name, spec


def _one(settings: Settings, spec: ServiceSpec, rule: Rule, actor: str) -> tuple[list[Judged], Pruned | None]:
    clock, registry, tell = SystemClock(), connect.registry(settings), Telling()
    looks = lookout(settings, spec, tell)
    found = survey(registry, spec, tell)
    judged = judge(found, looks.look(), keep=rule.keep, older_than=rule.older_than, now=clock.now())
    if not actor:
        return judged, None
    done = prune(
        judged,
        rule,
        registry=registry,
        look=looks.look,
        ledger=connect.ledger_store(settings),
        clock=clock,
        service=spec.service,
        actor=actor,
        tell=tell,
    )
    return judged, done


def _shown(service: str, judged: list[Judged], done: Pruned | None) -> dict[str, Any]:
    going = [one for one in judged if not one.why]
    shown: dict[str, Any] = {
        "service": service,
        "kept": len(judged) - len(going),
        "could_go": [facts(one) for one in going],
        "bytes": room(judged),
        "removed": None,
        "stayed": None,
    }
    if done:
        shown["removed"] = [str(one.image) for one in done.removed]
        shown["stayed"] = {str(image): why for image, why in done.stayed.items()}
    return shown


def _say(service: str, judged: list[Judged], done: Pruned | None) -> None:
    going = [one for one in judged if not one.why]
    kept = len(judged) - len(going)
    if not going:
        print(f"{service}: nothing could go; {kept} images are kept.")
    elif done is None:
        table(("TAG", "DIGEST", "RELEASE", "SIZE", "WHY"), [row for one in going for row in rows(one)])
        print(f"{service}: {len(going)} images could go, at most {size(room(judged))}; {kept} are kept.")
    else:
        print(f"{service}: removed {len(done.removed)} of {len(going)} images; {kept} are kept.")
        for image, why in done.stayed.items():
            print(f"  {image} stayed: {why}")
