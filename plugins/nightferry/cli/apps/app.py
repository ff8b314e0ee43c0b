"""`nightferry app check`, `app lock` and `app run`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from nightferry import settings as settings_of
from nightferry.cli.apps.run import run
from nightferry.cli.arguments import Subparsers, command, group, service_argument
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import OK
from nightferry.cli.lookup import spec_of
from nightferry.cli.output import show_json
from nightferry.clients import connect
from nightferry.clients.doors.source_repository import SourceRepository
from nightferry.entities.app.lock import PinnedLock
from nightferry.entities.candidate import PinnedSource
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.app.moved import moved
from nightferry.steps.app.pin_app import AppPinner, bases_of
from nightferry.steps.app.read_contract import read_contract

CHECK_EXAMPLES = """\
  nightferry app check churn/app          what the app says about itself, with what it left out
"""
LOCK_EXAMPLES = """\
  nightferry app lock churn               the packages that the next release installs; resolves them if nobody did yet
  nightferry app lock churn --upgrade     resolve anew; the next release says what moved
"""
RUN_EXAMPLES = """\
  nightferry app run churn/app --model churn/model.joblib              build its image, serve it, run its checks
  nightferry app run churn/app --model churn/model.joblib --no-image   the same in an environment of Python's
  nightferry app run churn/app --model churn/model.joblib --once       end after the checks: exit code 0, they are right
"""


def add_parsers(subparsers: Subparsers) -> None:
    """Add `app`."""
    commands = group(subparsers, "app", HELP["app"])
    checking = command(commands, "check", check, "read an app's nightferry.yaml, and say what is wrong", CHECK_EXAMPLES)
    checking.add_argument("folder", metavar="DIR", type=Path, help="the app's folder")
    locking = command(commands, "lock", lock, "show or renew what an app's requirements resolve to", LOCK_EXAMPLES)
    service_argument(locking)
    locking.add_argument("--upgrade", action="store_true", help="resolve anew, to the newest that the app asks for")
    running = command(commands, "run", run, "serve an app here as production would, and run its checks", RUN_EXAMPLES)
    running.add_argument("folder", metavar="DIR", type=Path, help="the app's folder")
    running.add_argument("--model", metavar="PATH", type=Path, help="its model: a file or a folder")
    running.add_argument("--examples", metavar="FILE", type=Path, help="golden examples to ask beside the app's checks")
    running.add_argument("--port", type=_port, help="the port of this machine (the app's own, if it is free)")
    running.add_argument("--no-image", action="store_true", help="in an environment of Python's, without BuildKit")
    running.add_argument("--once", action="store_true", help="end after the checks")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1024 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text} is not a port from 1024 to 65535")
    return int(text)


def check(arguments: argparse.Namespace) -> int:
    """Show the contract."""
    contract = read_contract(folder_of(arguments.folder))
    if arguments.json:
        show_json(contract.to_json())
        return OK
    made = f"by {contract.dockerfile}" if contract.dockerfile else f"on {contract.base}, of {contract.requirements}"
    facts = [
        ("image", made),
        ("system", ", ".join(contract.system)),
        ("start", " ".join(contract.start) or "as the image says"),
        ("port", str(contract.port)),
        ("ready", contract.ready or "when the port is open"),
        ("live", contract.live or "not looked at"),
        ("version", contract.version or "not asked: the image's digest proves who answers"),
        ("model", contract.model_at or "/model, also in MODEL_DIR"),
        ("checks", str(len(contract.checks))),
        ("tests", " ".join(contract.test) or "pytest"),
    ]
    for name, value in facts:
        if value:
            print(f"{name:<8} {value}")
    return OK


def folder_of(path: Path) -> Path:
    """The app's folder, which has to be there."""
    if not path.is_dir():
        raise Permanent(Reason.APP_CONTRACT_INVALID, f"There is no folder {path}; give the app's.")
    return path


def lock(arguments: argparse.Namespace) -> int:
    """Show or renew the lock of a service's app, at the commit that its file names now."""
    settings = settings_of.load()
    spec = spec_of(settings, arguments.service)
    if spec.source is None or spec.is_stock:
        raise Permanent(
            Reason.REQUEST_INVALID, f"{spec.service} is the stock service, whose packages come with the installation."
        )
    source = connect.source(settings, spec.source)
    print("Reading the app, and resolving what it asks for…", file=sys.stderr)
    pinned = source.pin(spec.source.ref, spec.source.path, spec.source.tests)
    locks, builder = connect.locks(settings, spec), connect.builder(settings)
    pinner = AppPinner(settings.root, settings.work, bases_of(settings), locks, builder)
    before = _newest(pinner, pinned, source) if arguments.upgrade else pinner.pin(pinned, source).lock
    now = pinner.renew(pinned, source) if arguments.upgrade else before
    if now is None:
        raise Permanent(
            Reason.REQUEST_INVALID, f"{spec.service} has a Dockerfile of its own, which says what is installed."
        )
    what = moved(before.packages if before else {}, now.packages)
    if arguments.json:
        show_json({"service": spec.service, "lock": now.to_json(), "moved": what})
    elif not arguments.upgrade:
        for name, version in sorted(now.packages.items()):
            print(f"{name} {version}")
    elif now == before:
        print(f"Nothing moved: lock {now.number} of {spec.service} is the newest that its app asks for.")
    else:
        print(f"Lock {now.number} of {spec.service}: {what or 'the same versions, other files'}.")
        print(f"The next release takes it: nightferry release {spec.service}", file=sys.stderr)
    return OK


def _newest(pinner: AppPinner, pinned: PinnedSource, source: SourceRepository) -> PinnedLock | None:
    """The lock that is to be renewed; None: there is none, or none that can be read."""
    try:
        return replace(pinner, builder=None).pin(pinned, source).lock
    except Permanent as fault:
        if fault.reason is not Reason.LOCK_MISSING:
            raise
        return None
