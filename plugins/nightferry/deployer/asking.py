"""Tasks that ask a service running beside them, and print one line: what its answers are worth, or what they are."""

from __future__ import annotations

import argparse
import json

from nightferry.clients.clock import SystemClock
from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.exchange import Exchange
from nightferry.entities.deployer_end import EXIT_DONE
from nightferry.steps.judging.answers import read_answers
from nightferry.steps.judging.probe_release import probe_of
from nightferry.steps.model.model_folder import read_manifest


def probe_task(given: argparse.Namespace) -> int:
    """Ask everything once; the exit code is the report's."""
    manifest, _ = read_manifest(given.model)
    passport = json.loads(given.passport)
    app = AppContract.model_validate_json(given.app) if given.app else None
    report = probe_of(app, manifest, given.model, passport, SystemClock(), given.ready_seconds)(given.address)
    print(json.dumps(report.to_json()))
    return report.exit_code


def answer_task(given: argparse.Namespace) -> int:
    """Have a service answer another model's golden examples, and an app's checks."""
    app = AppContract.model_validate_json(given.app) if given.app else None
    asked, checks = read_manifest(given.asked)[0], [Exchange.model_validate(one) for one in json.loads(given.checks)]
    manifest, clock = read_manifest(given.model)[0], SystemClock()
    found = read_answers(given.address, app, manifest, (asked, given.asked), checks, clock, given.ready_seconds)
    print(json.dumps(found.to_json()))
    return EXIT_DONE
