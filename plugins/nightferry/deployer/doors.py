"""The outside of an environment, opened for a task under the Lease of its service."""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from nightferry import settings as settings_module
from nightferry.clients import connect
from nightferry.clients.clock import Clock, SystemClock
from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.clients.doors.service_figures import ServiceFigures
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import ModelSource
from nightferry.manifests.service import candidate_name
from nightferry.settings import Settings
from nightferry.steps.judging.figures.figures_of import figures_of
from nightferry.steps.judging.reach_release import AskVersion, Probe, ask_app, ask_version
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.record.history import release_entries
from nightferry.steps.rollout.back.finish_release import GRACE, finish_release
from nightferry.steps.rollout.fence import Orders
from nightferry.steps.rollout.gates.ask_users_questions import known
from nightferry.steps.rollout.gates.compare_releases import Addresses, compare_releases
from nightferry.steps.rollout.lease.claim import Claim
from nightferry.steps.rollout.lease.claims import of_rollout
from nightferry.steps.rollout.lease.leased_cluster import Hold, hold
from nightferry.steps.rollout.prepare_probe import prepare_probe
from nightferry.steps.rollout.read_plan import read_plan
from nightferry.steps.rollout.strategies.bake import Bake
from nightferry.steps.rollout.strategies.canary import Judges
from nightferry.steps.rollout.verify_release import verify_release


class Doors:
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
        return address_of(self.cluster, candidate_name(self._service), self._reach)

    def prepare(self, plan: RolloutPlan) -> Probe:
        """Fetch the golden examples, once; what asks them."""
        folder = self._folder / plan.release
        return prober(self.settings, plan, folder, self.clock)

    def compare(self, plan: RolloutPlan, stable: Manifest) -> PredictionDiff:
        """Hold the candidate's answers against those of the release in use; `prepare` comes before."""
        golden = self._folder / plan.release
        return compare_releases(
            plan,
            stable,
            Addresses(address_of(self.cluster, self._service, self._reach), self.candidate()),
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
            partial(address_of, self.cluster, self._service, self._reach),
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
            address=partial(address_of, self.cluster, self._service, self._reach),
            probe=probe,
            ask=asker(plan),
            ledger=self.ledger,
            orders=self.orders,
            clock=self.clock,
            bake=Bake(plan, self.figures(plan), self.ledger, self.clock),
        )

    def finish(self, environment: str, grace: dt.timedelta = GRACE) -> None:
        """Finish what was ordered for an environment; whoever switched has the grace to look by itself."""
        finish_release(
            self._service,
            environment,
            cluster=self.cluster,
            ledger=self.ledger,
            verify=lambda plan: self.verify(plan, self.prepare(plan)),
            take=self.held.take,
            clock=self.clock,
            grace=grace,
        )


@contextmanager
def opened(given: argparse.Namespace, doing: str) -> Iterator[tuple[RolloutPlan, Doors]]:
    """The plan of the release and environment that the command line names, and its doors, under the service's Lease."""
    ledger = connect.ledger_store(settings_module.load())
    plan = read_plan(release_entries(ledger, given.release), given.environment)
    claim = of_rollout(plan, doing, needed=doing == "roll_out")
    with (
        tempfile.TemporaryDirectory() as folder,
        leased(plan.environment.namespace, claim, at_once=True) as held,
    ):
        yield plan, Doors(plan.service, held, given.reach, Path(folder))


def leased(namespace: str, claim: Claim, *, at_once: bool = False) -> AbstractContextManager[Hold]:
    """A namespace under the Lease of a service."""
    open_it = partial(connect.cluster, settings_module.load(), namespace)
    return hold(lambda guard: open_it(guard=guard), claim, SystemClock(), at_once=at_once)


def prober(settings: Settings, plan: RolloutPlan, folder: Path, clock: Clock) -> Probe:
    """Fetch a plan's golden examples into the folder; what asks them."""
    models = connect.models(settings, ModelSource(repository=plan.model_repository))
    return prepare_probe(plan, models, folder, clock)


def asker(plan: RolloutPlan) -> AskVersion:
    """What asks a plan's service which release it is."""
    return ask_app(plan.app) if plan.app else ask_version


def address_of(cluster: Cluster, service: str, reach: str) -> str:
    """Where a Service is called from here."""
    if reach == "dns":
        return f"http://{service}.{cluster.namespace}.svc"
    found = cluster.get("Service", service)
    return f"http://{found['spec']['clusterIP']}" if found else "http://127.0.0.1:9"
