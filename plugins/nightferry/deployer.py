"""What runs in the deployer's pods: `python -m nightferry.deployer roll_out|verify|retire|probe …`, without Airflow.

Exit codes: 0 done · 2 permanent failure · 3 temporary failure, try again; `probe` has its own: 0 right · 10 contract
broken · 11 golden example wrong · 12 not ready. One line on stdout for each event; the ledger holds the result.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from nightferry import settings as settings_module
from nightferry.clients import connect
from nightferry.clients.clock import Clock, SystemClock
from nightferry.clients.cluster import Cluster
from nightferry.entities.deployer_end import EXIT_DONE, EXIT_PERMANENT, EXIT_TEMPORARY, LAST_WORD
from nightferry.entities.frozen import problems
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import ModelSource
from nightferry.errors import NightferryError, Permanent
from nightferry.manifests import names
from nightferry.manifests.service import preview_name
from nightferry.masking import mask
from nightferry.settings import Settings
from nightferry.steps.judging.probe_service import probe_service
from nightferry.steps.judging.reach_release import REACH_SECONDS, Probe, ask_version
from nightferry.steps.model.fetch_golden import fetch_golden
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.rollout.retire_releases import retire_releases
from nightferry.steps.rollout.roll_out import roll_out
from nightferry.steps.rollout.verify_release import verify_at_once, verify_release

log = logging.getLogger("nightferry.deployer")


class Interrupted(BaseException):
    """SIGTERM came. Not an Exception, so that nothing takes it for a failure of its own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one task; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    for noisy in ("azure", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _interrupt)
    given = _parser().parse_args(arguments)
    try:
        return _run(given.task, given)
    finally:
        if given.task is not _probe:  # whose last line is its report
            log.info(LAST_WORD)


def _run(task: Callable[[argparse.Namespace], int], given: argparse.Namespace) -> int:
    try:
        return task(given)
    except NightferryError as fault:
        log.error("%s: %s", fault.reason, fault.sentence)
        return EXIT_PERMANENT if isinstance(fault, Permanent) else EXIT_TEMPORARY
    except (Interrupted, KeyboardInterrupt):
        log.error("%s: Ended by a signal; it can be repeated.", Reason.INTERRUPTED)
        return EXIT_TEMPORARY
    except Exception as fault:
        place = traceback.extract_tb(fault.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        log.error("%s: %s at %s: %s", Reason.INTERNAL_ERROR, type(fault).__name__, where, mask(str(fault)))
        return EXIT_TEMPORARY


def _interrupt(number: int, frame: FrameType | None) -> None:
    # The cleaning up that follows is not to be interrupted again; Kubernetes kills the pod if it takes too long.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nightferry.deployer", description="Rolls out and verifies one release.")
    commands = parser.add_subparsers(required=True)
    for name, task, text in (
        ("roll_out", _roll_out, "bring a release into use"),
        ("verify", _verify, "check what users get, and go back if it is not right"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(task=task)
        command.add_argument("--plan", required=True, help="the rollout plan as JSON")
        command.add_argument(
            "--reach",
            choices=("dns", "cluster-ip"),
            default="dns",
            help="how Services are called: by name (in the cluster) or by address (on one of its nodes)",
        )
        if task is _roll_out:
            command.add_argument("--verify", action="store_true", help="then verify it too, if it is right at once")
        if task is _verify:
            command.add_argument("--last-try", action="store_true", help="nobody tries again after this attempt")
    command = commands.add_parser("retire", help="scale releases past their warm time to zero, remove old ones")
    command.set_defaults(task=_retire)
    command.add_argument("--namespace", required=True)
    command.add_argument("--service", required=True, action="append", help="may be given more than once")
    command = commands.add_parser("probe", help="ask a running service everything once")
    command.set_defaults(task=_probe)
    command.add_argument("--model", required=True, type=Path, help="folder with model.json and golden examples")
    command.add_argument("--address", default="http://127.0.0.1:8080")
    command.add_argument("--ready-seconds", type=float, default=60.0)
    command.add_argument("--passport", default="{}", help="NIGHTFERRY_… variables of the container, as JSON")
    return parser


def _roll_out(given: argparse.Namespace) -> int:
    settings, clock, plan = settings_module.load(), SystemClock(), _plan(given.plan)
    cluster, ledger = connect.cluster(settings, plan.environment.namespace), connect.ledger_store(settings)
    with tempfile.TemporaryDirectory() as folder:
        prepare = cache(partial(_prober, settings, plan, Path(folder), clock))
        done = roll_out(
            plan,
            cluster=cluster,
            address=partial(_address, cluster, preview_name(plan.service), given.reach),
            prepare=prepare,
            ask=ask_version,
            ledger=ledger,
            clock=clock,
        )
        log.info("%s is in use in %s (%.1f s).", done.release, plan.environment.name, done.seconds)
        if given.verify:
            verify_at_once(
                plan,
                cluster=cluster,
                address=partial(_address, cluster, plan.service, given.reach),
                prepare=prepare,
                ask=ask_version,
                ledger=ledger,
                clock=clock,
            )
    return EXIT_DONE


def _verify(given: argparse.Namespace) -> int:
    settings, clock, plan = settings_module.load(), SystemClock(), _plan(given.plan)
    cluster = connect.cluster(settings, plan.environment.namespace)
    with tempfile.TemporaryDirectory() as folder:
        verify_release(
            plan,
            cluster=cluster,
            address=partial(_address, cluster, plan.service, given.reach),
            prepare=partial(_prober, settings, plan, Path(folder), clock),
            ask=ask_version,
            ledger=connect.ledger_store(settings),
            clock=clock,
            last_try=given.last_try,
        )
    return EXIT_DONE


def _retire(given: argparse.Namespace) -> int:
    cluster = connect.cluster(settings_module.load(), given.namespace)
    faults = []
    for service in given.service:
        try:
            retire_releases(cluster, service, SystemClock())
        except NightferryError as fault:  # the other services are retired all the same
            faults.append(fault)
    for other in faults[1:]:
        log.error("%s: %s", other.reason, other.sentence)
    if faults:
        raise faults[0]
    return EXIT_DONE


def _probe(given: argparse.Namespace) -> int:
    manifest, _ = read_manifest(given.model)
    passport = json.loads(given.passport)
    report = probe_service(given.address, manifest, given.model, passport, SystemClock(), given.ready_seconds)
    print(json.dumps(report.to_json()))
    return report.exit_code


def _plan(text: str) -> RolloutPlan:
    try:
        plan = RolloutPlan.model_validate_json(text)
    except ValidationError as fault:
        raise Permanent(Reason.REQUEST_INVALID, f"The plan is not one: {'; '.join(problems(fault))}.") from fault
    environment = plan.environment
    if environment.service_type is None:
        kind = settings_module.load().get("SERVICE_TYPE", "LoadBalancer")
        environment = environment.model_validate({**environment.to_json(), "service_type": kind})
    return plan.model_copy(update={"environment": environment})


def _prober(settings: Settings, plan: RolloutPlan, folder: Path, clock: Clock) -> Probe:
    """Fetch the golden examples into `folder`; what asks them."""
    models = connect.models(settings, ModelSource(repository=plan.model_repository))
    manifest = fetch_golden(plan.model, models, folder)
    passport = names.passport(plan)
    return lambda address: probe_service(address, manifest, folder, passport, clock, REACH_SECONDS)


def _address(cluster: Cluster, service: str, reach: str) -> str:
    """Where a Service is called from here."""
    if reach == "dns":
        return f"http://{service}.{cluster.namespace}.svc"
    found = cluster.get("Service", service)
    return f"http://{found['spec']['clusterIP']}" if found else "http://127.0.0.1:9"


if __name__ == "__main__":
    sys.exit(main())
