"""The sandbox: `up`, `down`, `status`, `logs`, `clean`."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys

from nightferry import settings as settings_of
from nightferry.cli.arguments import Subparsers, command
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import NOT_WELL, OK
from nightferry.cli.lookup import require_checkout
from nightferry.cli.output import show_json, size, table
from nightferry.cli.trial.rehearsals import age, rehearsal_json, rehearsal_row, rehearsals
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox.layout import Layout, Owner
from nightferry.sandbox.machine import privileges
from nightferry.sandbox.progress import Progress
from nightferry.sandbox.status import Status

STORAGE = "azurite"
UP_EXAMPLES = """\
  nightferry up                                   start all parts that do not run, install what is missing
  nightferry up --with s3,mlflow                  an S3 storage and MLflow for models too; they stay until `clean`
  NIGHTFERRY_KUBECONFIG=aks.yaml nightferry up    use this cluster instead of the one in the sandbox
"""
STATUS_EXAMPLES = """\
  nightferry status          exit code 0: every part is healthy
  nightferry status --json   the same for programs
"""
LOGS_EXAMPLES = """\
  nightferry logs                        which logs there are
  nightferry logs airflow-scheduler -f   go on showing what is written
"""


def add_parsers(subparsers: Subparsers) -> None:
    """Add the commands."""
    add = command(subparsers, "up", up, HELP["up"], UP_EXAMPLES)
    add.add_argument(
        "--browser", action="store_true", help="install one too, and a proxy, for the tests of the service"
    )
    add.add_argument(
        "--with",
        dest="wanted",
        metavar="PART[,PART]",
        default="",
        help="parts that a plain `up` does not start: s3, mlflow",
    )
    command(subparsers, "down", down, HELP["down"])
    command(subparsers, "status", status, HELP["status"], STATUS_EXAMPLES)
    add = command(subparsers, "logs", logs, HELP["logs"], LOGS_EXAMPLES)
    add.add_argument("part", metavar="PART", nargs="?", help="as `status` names it; none: list the logs")
    add.add_argument("-f", "--follow", action="store_true", help="go on showing what is written")
    add.add_argument("-n", "--lines", type=int, default=50, metavar="N", help="how many last lines (%(default)s)")
    command(subparsers, "clean", clean, HELP["clean"])


def _layout() -> Layout:
    require_checkout()
    settings = settings_of.load()
    return Layout(root=settings.root, home=settings.home, owner=Owner.current())


def up(arguments: argparse.Namespace) -> int:
    """Start the sandbox; says where its parts are."""
    from nightferry.sandbox import extras
    from nightferry.sandbox import up as work

    layout, wanted = _layout(), extras.read(arguments.wanted)
    privileges.ensure_root(sys.argv[1:])
    state = work.up(settings_of.load(), layout, Progress(sys.stderr), browser=arguments.browser, wanted=wanted)
    if arguments.json:
        show_json({"home": str(layout.home), "settings": dict(state.settings), "ports": dict(state.ports)})
        return OK
    password = layout.secrets / "airflow-password"
    print("The sandbox is up.")
    print(f"  Airflow     {state.settings['NIGHTFERRY_AIRFLOW_URL']}  user admin, password: cat {_shown(password)}")
    print(f"  registry    {state.settings['NIGHTFERRY_REGISTRY']}")
    print(f"  storage     {state.settings['NIGHTFERRY_STORAGE_URL']}")
    for name in extras.EXTRAS.keys() & set(state.extras):
        print(f"  {name:<10}  {state.settings[f'NIGHTFERRY_{extras.EXTRAS[name]}']}")
    print(f"  cluster     {_shown(state.settings['NIGHTFERRY_KUBECONFIG'])}")
    return OK


def _shown(path: object) -> str:
    """A path as short as it can be typed here."""
    relative = os.path.relpath(str(path))
    return relative if not relative.startswith("..") else str(path)


def down(arguments: argparse.Namespace) -> int:
    """Stop the sandbox."""
    from nightferry.sandbox import down as work

    layout = _layout()
    privileges.ensure_root(sys.argv[1:])
    stopped = work.down(layout, Progress(sys.stderr))
    if arguments.json:
        show_json({"stopped": stopped})
    else:
        print("The sandbox is stopped; its data stays." if stopped else "The sandbox does not run.")
    return OK


def clean(arguments: argparse.Namespace) -> int:
    """Stop the sandbox and remove its data."""
    from nightferry.sandbox import down as work

    layout = _layout()
    privileges.ensure_root(sys.argv[1:])
    work.clean(layout, Progress(sys.stderr))
    if arguments.json:
        show_json({"removed": str(layout.home)})
    else:
        print(f"The sandbox is stopped and {layout.home} is removed.")
    return OK


def status(arguments: argparse.Namespace) -> int:
    """Show every part; exit code 0 only where all are healthy."""
    from nightferry.sandbox import status as work

    found = work.status(_layout())
    # A storage that is down is asked for long, and is what a person wants to see at once.
    tried = rehearsals(settings_of.load()) if found.running and _stored(found) else []
    if arguments.json:
        show_json(found.to_json() | {"rehearsals": {name: rehearsal_json(one) for name, one in tried}})
    elif not found.running:
        print("The sandbox does not run; start it: nightferry up")
    else:
        now = dt.datetime.now(dt.UTC)
        rows = [
            (part.name, part.state, _since(part.since, now), str(part.pid or ""), size(part.memory), part.address)
            for part in found.parts
        ]
        table(("PART", "STATE", "SINCE", "PID", "MEMORY", "ADDRESS"), rows)
        total = sum(part.memory for part in found.parts)
        print(f"\nMemory: {size(total)}, and {size(found.containers_memory)} in containers.")
        if tried:
            print()
            table(("SERVICE", "REHEARSED", "WHAT IT FOUND"), [rehearsal_row(name, one, now) for name, one in tried])
    return OK if found.healthy else NOT_WELL


def _stored(found: Status) -> bool:
    return all(part.healthy for part in found.parts if part.name == STORAGE)


def _since(since: str | None, now: dt.datetime) -> str:
    return age(since, now) if since else ""


def logs(arguments: argparse.Namespace) -> int:
    """Show the end of a log. Following it ends with Ctrl-C."""
    layout = _layout()
    known = sorted(path.stem for path in (layout.home / "logs").glob("*.log"))
    if arguments.part is None:
        show_json(known) if arguments.json else print("\n".join(known) or "There are no logs yet.")
        return OK
    if arguments.part not in known:
        there = ", ".join(known) or "none yet"
        raise Permanent(Reason.REQUEST_INVALID, f"There is no log {arguments.part}; there are: {there}.")
    sys.stdout.flush()
    following = ["-F"] if arguments.follow else []
    words = ["tail", "-n", str(arguments.lines), *following, str(layout.log(arguments.part))]
    os.execvp("tail", words)  # noqa: S606 a fixed list of words, no shell wanted
