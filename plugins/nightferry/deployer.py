"""What runs in the deployer's pods, without Airflow: `nightferry.deployer roll_out`, `verify`, `finish`, `roll_back`,
`look`, `retire`, `rehearse`, `probe`, `answer`.

It is told a release and an environment, and reads everything else from the record, as it was decided.

Exit codes: 0 done · 2 permanent failure · 3 temporary failure, try again; `probe` has its own: 0 right · 10 contract
broken · 11 golden example wrong · 12 not ready. One line on stdout for each event; the ledger holds the result.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import logging
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Any

from nightferry import settings as settings_module
from nightferry.clients import connect
from nightferry.clients.clock import Clock, SystemClock
from nightferry.clients.cluster import Cluster, Manifest
from nightferry.clients.service_figures import ServiceFigures
from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.exchange import Exchange
from nightferry.entities.deployer_end import EXIT_DONE, EXIT_PERMANENT, EXIT_TEMPORARY, LAST_WORD
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import ModelSource
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import trial
from nightferry.manifests.service import candidate_name
from nightferry.masking import mask
from nightferry.settings import Settings
from nightferry.steps.judging.answers import read_answers
from nightferry.steps.judging.figures_of import figures_of
from nightferry.steps.judging.probe_release import probe_of
from nightferry.steps.judging.reach_release import AskVersion, Probe, ask_app, ask_version
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.record.history import release_entries
from nightferry.steps.rollout.back.finish_release import GRACE, decided_environment, environments_in, finish_release
from nightferry.steps.rollout.back.roll_back import Wish, roll_back
from nightferry.steps.rollout.drift.heal import heal
from nightferry.steps.rollout.fence import Orders
from nightferry.steps.rollout.gates.ask_users_questions import known
from nightferry.steps.rollout.gates.compare_releases import Addresses, compare_releases
from nightferry.steps.rollout.lease.claim import Claim
from nightferry.steps.rollout.lease.claims import of_housekeeping, of_person, of_rollout
from nightferry.steps.rollout.lease.give_way import take_away
from nightferry.steps.rollout.lease.leased_cluster import Hold, hold
from nightferry.steps.rollout.lease.meeting import UnderWay
from nightferry.steps.rollout.prepare_probe import prepare_probe
from nightferry.steps.rollout.read_plan import read_plan
from nightferry.steps.rollout.retire_releases import retire_releases, services_in
from nightferry.steps.rollout.roll_out import roll_out
from nightferry.steps.rollout.strategies.bake import Bake
from nightferry.steps.rollout.strategies.canary import Judges
from nightferry.steps.rollout.verify_release import verify_release
from nightferry.steps.trial.rehearse import rehearse

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
        if given.task not in (_probe, _answer):  # whose last line is its report
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
        ("roll_out", _roll_out, "bring a release into use, look at what users get, and go back if it is not right"),
        ("verify", _verify, "look again at what users get, and go back if it is not right"),
        ("finish", _finish, "finish what was ordered for an environment and is not done"),
    ):
        command = _command(commands, name, task, text, "release", "environment")
        _reach(command)
        if task is _finish:
            command.add_argument("--at-once", action="store_true", help="also where whoever switched may still look")
    text = "send an environment's users to an earlier release"
    command = _command(commands, "roll_back", _roll_back, text, "service", "environment", "reason", "actor")
    command.add_argument("--to", help="the release that users get; left out: the one before")
    text = "put back what was changed by hand, as the record says"
    command = _command(commands, "look", _look, text)
    command.add_argument("--service", required=True, action="append")
    command.add_argument("--environment", required=True, action="append", help="that of the service; once for each")
    text = "finish what was left, scale releases past their warm time to zero"
    command = _command(commands, "retire", _retire, text, "namespace")
    command.add_argument("--service", default=[], action="append", help="one more than those that have releases there")
    _reach(command)
    text = "try whether the last good releases would start and answer, where nobody uses them"
    _command(commands, "rehearse", _rehearse, text, "service", "night", "actor")
    command = _command(commands, "probe", _probe, "ask a running service everything once")
    command.add_argument("--model", required=True, type=Path, help="folder with model.json and golden examples")
    command.add_argument("--address", default="http://127.0.0.1:8080")
    command.add_argument("--ready-seconds", type=float, default=60.0)
    command.add_argument("--app", default="", help="the contract of an app that is not the stock service, as JSON")
    command.add_argument("--passport", default="{}", help="NIGHTFERRY_… variables of the container, as JSON")
    command = _command(commands, "answer", _answer, "have a running service answer another model's golden examples")
    command.add_argument("--model", required=True, type=Path, help="folder with its own model.json")
    command.add_argument("--asked", required=True, type=Path, help="folder with model.json and golden examples")
    command.add_argument("--checks", default="[]", help="of an app, which are asked too, as JSON")
    command.add_argument("--address", default="http://127.0.0.1:8080")
    command.add_argument("--ready-seconds", type=float, default=60.0)
    command.add_argument("--app", default="", help="the contract of an app that is not the stock service, as JSON")
    return parser


def _command(
    commands: Any, name: str, task: Callable[[argparse.Namespace], int], help: str, *needed: str
) -> argparse.ArgumentParser:
    """A task, and the options that it cannot be without."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=help)
    command.set_defaults(task=task)
    for word in needed:
        command.add_argument(f"--{word}", required=True)
    return command


def _reach(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--reach",
        choices=("dns", "cluster-ip"),
        default="dns",
        help="how Services are called: by name (in the cluster) or by address (on one of its nodes)",
    )


class _Doors:
    """The outside of one environment, as the steps of a rollout want it."""

    def __init__(self, service: str, held: Hold, reach: str, folder: Path) -> None:
        self.settings, self.clock = settings_module.load(), SystemClock()
        self.held, self.cluster = held, held.cluster
        self.ledger = connect.ledger_store(self.settings)
        self.orders = Orders(self.ledger, service)
        self._service, self._reach, self._folder = service, reach, folder
        self._figures: dict[str, ServiceFigures | None] = {}

    def candidate(self) -> str:
        """Where the candidate Service is called."""
        return _address(self.cluster, candidate_name(self._service), self._reach)

    def prepare(self, plan: RolloutPlan) -> Probe:
        """Fetch the golden examples, once; what asks them."""
        folder = self._folder / plan.release
        return _prober(self.settings, plan, folder, self.clock)

    def compare(self, plan: RolloutPlan, stable: Manifest) -> PredictionDiff:
        """Hold the candidate's answers against those of the release in use; `prepare` comes before."""
        golden = self._folder / plan.release
        return compare_releases(
            plan,
            stable,
            Addresses(_address(self.cluster, self._service, self._reach), self.candidate()),
            cluster=self.cluster,
            models=connect.models(self.settings, ModelSource(repository=plan.model_repository)),
            manifest=read_manifest(golden)[0],
            golden=golden,
            scratch=self._folder / "in-use",
            clock=self.clock,
        )

    def judging(self, plan: RolloutPlan, probe: Probe, stable: Manifest) -> Judges:
        """What judges the release while it has users beside the one in use; `prepare` gave its probe."""
        golden = self._folder / plan.release
        found = known(
            plan,
            stable,
            partial(_address, self.cluster, self._service, self._reach),
            probe,
            cluster=self.cluster,
            models=connect.models(self.settings, ModelSource(repository=plan.model_repository)),
            manifest=read_manifest(golden)[0],
            golden=golden,
            scratch=self._folder / "users-have",
            clock=self.clock,
        )
        return Judges(found.look, self.figures(plan))

    def figures(self, plan: RolloutPlan) -> ServiceFigures | None:
        """What reads the figures of the plan's service: one for all that is asked, since it remembers what it saw."""
        if plan.release not in self._figures:
            self._figures[plan.release] = figures_of(plan, self.settings, self.cluster)
        return self._figures[plan.release]

    def verify(self, plan: RolloutPlan, probe: Probe) -> None:
        """Look at what users get, and go back if it is not right."""
        verify_release(
            plan,
            cluster=self.cluster,
            address=partial(_address, self.cluster, self._service, self._reach),
            probe=probe,
            ask=_asker(plan),
            ledger=self.ledger,
            orders=self.orders,
            clock=self.clock,
            bake=Bake(plan, self.figures(plan), self.ledger, self.clock),
        )


@contextmanager
def _opened(given: argparse.Namespace, doing: str) -> Iterator[tuple[RolloutPlan, _Doors]]:
    """The plan of the release and environment that the command line names, and its doors, under the service's Lease."""
    ledger = connect.ledger_store(settings_module.load())
    plan = read_plan(release_entries(ledger, given.release), given.environment)
    claim = of_rollout(plan, doing, needed=doing == "roll_out")
    with (
        tempfile.TemporaryDirectory() as folder,
        _held(plan.environment.namespace, claim, at_once=True) as held,
    ):
        yield plan, _Doors(plan.service, held, given.reach, Path(folder))


def _held(namespace: str, claim: Claim, *, at_once: bool = False) -> AbstractContextManager[Hold]:
    """A namespace under the Lease of a service."""
    open_it = partial(connect.cluster, settings_module.load(), namespace)
    return hold(lambda guard: open_it(guard=guard), claim, SystemClock(), at_once=at_once)


def _roll_out(given: argparse.Namespace) -> int:
    with _opened(given, "roll_out") as (plan, doors):
        prepare = cache(partial(doors.prepare, plan))
        doors.cluster.get("Lease", plan.service)  # the first call takes it
        take_away(doors.held, plan.environment, doors.clock)
        roll_out(
            plan,
            cluster=doors.cluster,
            candidate=doors.candidate,
            prepare=prepare,
            ask=_asker(plan),
            compare=partial(doors.compare, plan),
            ledger=doors.ledger,
            orders=doors.orders,
            clock=doors.clock,
            judging=lambda stable: doors.judging(plan, prepare(), stable),
        )
        doors.verify(plan, prepare())
    return EXIT_DONE


def _verify(given: argparse.Namespace) -> int:
    with _opened(given, "verify") as (plan, doors):
        doors.verify(plan, doors.prepare(plan))
    return EXIT_DONE


def _finish(given: argparse.Namespace) -> int:
    with _opened(given, "finish") as (plan, doors):
        grace = dt.timedelta(0) if given.at_once else GRACE
        _finish_in(doors, plan.service, plan.environment.name, grace)
    return EXIT_DONE


def _finish_in(doors: _Doors, service: str, environment: str, grace: dt.timedelta = GRACE) -> None:
    finish_release(
        service,
        environment,
        cluster=doors.cluster,
        ledger=doors.ledger,
        verify=lambda plan: doors.verify(plan, doors.prepare(plan)),
        take=doors.held.take,
        clock=doors.clock,
        grace=grace,
    )


def _roll_back(given: argparse.Namespace) -> int:
    settings = settings_module.load()
    ledger = connect.ledger_store(settings)
    environment = decided_environment(ledger, given.service, given.environment)
    wish = Wish(given.service, environment, given.to, given.reason, given.actor)
    with _held(environment.namespace, of_person(given.service, given.actor)) as held:
        roll_back(wish, cluster=held.cluster, ledger=ledger, clock=SystemClock())
        take_away(held, environment, SystemClock())
    return EXIT_DONE


def _look(given: argparse.Namespace) -> int:
    if len(given.service) != len(given.environment):
        raise Permanent(Reason.REQUEST_INVALID, "Each --service needs the --environment that is looked at.")
    return _each(partial(_heal, *place) for place in zip(given.service, given.environment, strict=True))


def _heal(service: str, name: str) -> None:
    settings = settings_module.load()
    ledger = connect.ledger_store(settings)
    environment = decided_environment(ledger, service, name)
    with _held(environment.namespace, of_housekeeping(service, "heal")) as held:
        for one in heal(service, name, cluster=held.cluster, ledger=ledger, clock=SystemClock(), ask=_asker):
            log.info("Put back: %s", one.sentence)


def _retire(given: argparse.Namespace) -> int:
    cluster = connect.cluster(settings_module.load(), given.namespace)
    found = sorted({*given.service, *services_in(cluster)})
    return _each(partial(work, service, given) for service in found for work in (_finish_here, _retire_one))


def _each(works: Iterable[Callable[[], None]]) -> int:
    """Do all of it, whatever fails; the first failure counts."""
    faults: list[NightferryError] = []
    for work in works:
        try:
            work()
        except UnderWay as busy:  # the next turn comes
            log.info(busy.sentence)
        except NightferryError as fault:  # the other services are looked after all the same
            faults.append(fault)
    for other in faults[1:]:
        log.error("%s: %s", other.reason, other.sentence)
    if faults:
        raise faults[0]
    return EXIT_DONE


def _finish_here(service: str, given: argparse.Namespace) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        _held(given.namespace, of_housekeeping(service, "finish")) as held,
    ):
        doors = _Doors(service, held, given.reach, Path(folder))
        for environment in environments_in(doors.ledger, service, given.namespace):
            _finish_in(doors, service, environment)


def _retire_one(service: str, given: argparse.Namespace) -> None:
    with _held(given.namespace, of_housekeeping(service, "retire")) as held:
        retire_releases(held.cluster, service, SystemClock())


def _rehearse(given: argparse.Namespace) -> int:
    settings, clock = settings_module.load(), SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        entry = rehearse(
            given.service,
            cluster=connect.cluster(settings, trial.NAMESPACE),
            ledger=connect.ledger_store(settings),
            prepare=lambda plan: _prober(settings, plan, Path(folder) / plan.release, clock),
            clock=clock,
            night=given.night,
            actor=given.actor,
        )
    if entry.reason == Reason.REHEARSAL_UNSEEN:
        raise Temporary(Reason.REHEARSAL_UNSEEN, entry.sentence)
    if entry.reason != Reason.REHEARSED:
        raise Permanent(Reason(entry.reason), entry.sentence)
    log.info(entry.sentence)
    return EXIT_DONE


def _probe(given: argparse.Namespace) -> int:
    manifest, _ = read_manifest(given.model)
    passport = json.loads(given.passport)
    app = AppContract.model_validate_json(given.app) if given.app else None
    report = probe_of(app, manifest, given.model, passport, SystemClock(), given.ready_seconds)(given.address)
    print(json.dumps(report.to_json()))
    return report.exit_code


def _answer(given: argparse.Namespace) -> int:
    app = AppContract.model_validate_json(given.app) if given.app else None
    asked, checks = read_manifest(given.asked)[0], [Exchange.model_validate(one) for one in json.loads(given.checks)]
    manifest, clock = read_manifest(given.model)[0], SystemClock()
    found = read_answers(given.address, app, manifest, (asked, given.asked), checks, clock, given.ready_seconds)
    print(json.dumps(found.to_json()))
    return EXIT_DONE


def _prober(settings: Settings, plan: RolloutPlan, folder: Path, clock: Clock) -> Probe:
    models = connect.models(settings, ModelSource(repository=plan.model_repository))
    return prepare_probe(plan, models, folder, clock)


def _asker(plan: RolloutPlan) -> AskVersion:
    return ask_app(plan.app) if plan.app else ask_version


def _address(cluster: Cluster, service: str, reach: str) -> str:
    """Where a Service is called from here."""
    if reach == "dns":
        return f"http://{service}.{cluster.namespace}.svc"
    found = cluster.get("Service", service)
    return f"http://{found['spec']['clusterIP']}" if found else "http://127.0.0.1:9"


if __name__ == "__main__":
    sys.exit(main())
