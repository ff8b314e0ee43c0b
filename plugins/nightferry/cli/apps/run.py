"""`nightferry app run`: an app served on this machine, and asked its checks."""

from __future__ import annotations

import argparse
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

from nightferry.cli.apps.in_image import plain, served_in_image
from nightferry.cli.apps.in_python import served_in_python
from nightferry.cli.apps.served import Served
from nightferry.cli.apps.staged import copy_app, copy_model
from nightferry.cli.exit_codes import NOT_WELL, OK
from nightferry.cli.output import show_json
from nightferry.clients.clock import SystemClock
from nightferry.clients.scratch import scratch
from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.exchange import Exchange
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.app.read_contract import read_contract
from nightferry.steps.judging.probe_app import probe_app
from nightferry.steps.model.describing.exchange_lines import read_exchange_lines

READY_SECONDS = 120
POLL_SECONDS = 0.2
SHOWN = 5
"""Lines of an app that has ended."""


def run(arguments: argparse.Namespace) -> int:
    """Serve it until it is told to end, or with `--once` until its checks are done."""
    if not arguments.folder.is_dir():
        raise Permanent(Reason.APP_CONTRACT_INVALID, f"There is no folder {arguments.folder}; give the app's.")
    contract = read_contract(arguments.folder)
    lines = read_exchange_lines(arguments.examples) if arguments.examples else []
    golden = [Exchange.model_validate(line) for line in lines]
    with ExitStack() as stack:
        folder = stack.enter_context(scratch("nightferry-app-")) / plain(arguments.folder.resolve().name)
        folder.mkdir(mode=0o755)
        copy_app(arguments.folder, folder / "app")
        model = copy_model(arguments.model, folder / "model")
        serve = served_in_python if arguments.no_image else served_in_image
        served = stack.enter_context(serve(contract, folder, model, arguments.port))
        right = _ask(served, contract, golden, as_json=arguments.json)
        if not (arguments.once or arguments.json) and right:
            print(f"Serving at {served.address} until Ctrl-C.")
            served.wait()
    return OK if right else NOT_WELL


def _ask(served: Served, contract: AppContract, golden: Sequence[Exchange], *, as_json: bool) -> bool:
    patience = time.monotonic() + READY_SECONDS
    while time.monotonic() < patience and not served.ended() and not _open(served.address):
        time.sleep(POLL_SECONDS)
    if served.ended():
        raise Permanent(Reason.IMAGE_START_FAILED, f"The app has ended. Its last lines: {_last(served)}")
    report = probe_app(served.address, contract, golden, None, SystemClock(), READY_SECONDS, proc=None)
    if as_json:
        show_json({"address": served.address, **report.to_json()})
    elif report.faults:
        for fault in report.faults:
            print(fault.sentence)
        print(f"\nThe app's last lines:\n{served.said()}", file=sys.stderr)
    else:
        print(f"The app is ready, and {report.checked} answers are right.")
    return not report.faults


def _open(address: str) -> bool:
    place = urlsplit(address)
    try:
        socket.create_connection((str(place.hostname), int(place.port or 80)), timeout=1).close()
    except OSError:
        return False
    return True


def _last(served: Served) -> str:
    return " | ".join(line.strip() for line in served.said().strip().splitlines()[-SHOWN:]) or "nothing"
