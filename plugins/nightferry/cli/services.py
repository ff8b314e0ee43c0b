"""`nightferry services add` and `check`: bring a service file to where they are, and look whether all are sound."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nightferry import settings as settings_of
from nightferry.cli import left_over
from nightferry.cli.arguments import Subparsers, command, group
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import NOT_WELL, OK
from nightferry.cli.output import show_json, table
from nightferry.clients import connect
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.approvals.load_people import unnamed
from nightferry.steps.services.kept_connections import kept_connections_note
from nightferry.steps.services.load_services import load_services
from nightferry.steps.services.new_service import add_service
from nightferry.steps.services.reach_source import reach_source

CHECK_EXAMPLES = """\
  nightferry services check          exit code 0: every service file is sound
  nightferry services check --json   the same for programs
"""


ADD_EXAMPLES = """\
  nightferry init churn && nightferry services add churn.yaml
  nightferry services add churn.yaml --no-check     its source is not looked at
"""


def add_parsers(subparsers: Subparsers) -> None:
    """Add `services`."""
    commands = group(subparsers, "services", HELP["services"])
    adding = command(commands, "add", add, "bring a service file to this machine's Airflow", ADD_EXAMPLES)
    adding.add_argument("file", metavar="FILE", type=Path, help="the service file; nightferry init writes one")
    adding.add_argument("--no-check", action="store_true", help="do not look whether Airflow can reach its source")
    command(commands, "check", check, "check every service file and list the services", CHECK_EXAMPLES)
    left_over.add_parsers(commands)


def add(arguments: argparse.Namespace) -> int:
    """Copy the file to where the services are, if it is sound beside the others and its source can be reached."""
    settings = settings_of.load()

    def look(spec: ServiceSpec) -> None:
        reach_source(spec, settings.airflow_url, lambda source: connect.source(settings, source))

    added = add_service(
        arguments.file, settings.services_folders, settings.expandable, None if arguments.no_check else look
    )
    service = added.path.stem
    if arguments.json:
        show_json({"service": service, "file": str(added.path), "changed": added.before != "same"})
        return OK
    said = {"none": "is added", "other": "was there, and is replaced", "same": "is there already, the same"}
    print(f"{service} {said[added.before]}: {added.path}")
    print(
        "Airflow on this machine reads it within a minute. An Airflow elsewhere has its service files in its own "
        "repository: commit the file there.",
        file=sys.stderr,
    )
    return OK


def check(arguments: argparse.Namespace) -> int:
    """List the services and what is wrong with which file."""
    settings = settings_of.load()
    loaded = load_services(settings.services_folders, settings.expandable)
    loaded.problems.extend(unnamed(loaded, settings.people_file))
    notes = [note for _, (spec, _) in sorted(loaded.specs.items()) if (note := kept_connections_note(spec))]
    if arguments.json:
        show_json(
            {
                "services": [
                    {"service": name, "file": str(path), "schedule": _schedule(spec) or None, "owner": spec.owner}
                    for name, (spec, path) in sorted(loaded.specs.items())
                ],
                "problems": [
                    {"file": str(problem.path), "reason": problem.reason, "sentence": problem.sentence}
                    for problem in loaded.problems
                ],
                "notes": notes,
            }
        )
        return NOT_WELL if loaded.problems else OK
    rows = [
        (name, spec.owner, _schedule(spec) or "on request", str(path))
        for name, (spec, path) in sorted(loaded.specs.items())
    ]
    if rows:
        table(("SERVICE", "OWNER", "SCHEDULE", "FILE"), rows)
    for problem in loaded.problems:
        print(f"{problem.sentence} [{problem.reason}]")
    for note in notes:
        print(note)
    if not rows and not loaded.problems:
        print(f"No service files in {' or '.join(map(str, settings.services_folders))}.")
    return NOT_WELL if loaded.problems else OK


def _schedule(spec: ServiceSpec) -> str:
    return f"{spec.schedule.cron} {spec.schedule.timezone}" if spec.schedule else ""
