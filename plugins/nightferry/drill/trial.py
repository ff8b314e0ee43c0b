"""The trial copy of a service: its release in use, brought up where nobody uses it, on a record of its own.

Releases go into it by the same steps as everywhere: `roll_out`, `verify_release`, with their going back.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.cluster import Cluster, Manifest
from nightferry.clients.ledger_store import LedgerStore
from nightferry.clients.model_repository import ModelRepository
from nightferry.drill.callers import Known, known_answers
from nightferry.drill.machine import Machine
from nightferry.entities.decision import Decision
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.model_version import ModelManifest
from nightferry.entities.reason import Reason
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.state.service_state import LAST
from nightferry.errors import Permanent, Temporary
from nightferry.manifests.service import candidate_name
from nightferry.steps.judging.questions import golden_questions
from nightferry.steps.judging.reach_release import AskVersion, ask_app, ask_version
from nightferry.steps.model.fetch_golden import fetch_golden
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import append
from nightferry.steps.rollout.fence import Orders
from nightferry.steps.rollout.gates.compare_releases import Addresses, compare_releases
from nightferry.steps.rollout.prepare_probe import prepare_probe
from nightferry.steps.rollout.read_plan import read_plan
from nightferry.steps.rollout.roll_out import roll_out
from nightferry.steps.rollout.switch_service import in_use
from nightferry.steps.rollout.verify_release import verify_release
from nightferry.steps.services.service_address import service_address

FIRST_NUMBER = 9001
"""Of the releases of a drill, so that nobody takes one for a release of the night."""
REPLICAS = 2
RETRY_SECONDS = 5.0
"""Between two tries of a rollout."""
QUESTIONS = 12
"""Golden examples and checks that callers ask."""


@dataclass(frozen=True)
class Doors:
    """What a rollout of the trial meets; a fault puts something else in the place of one."""

    cluster: Cluster
    ledger: LedgerStore
    models: ModelRepository
    clock: Clock


class Trial:
    """The trial copy. Whoever makes one has the turn in its namespace.

    Args:
        decision: of the release in use, which is copied.
        plan: of the same, in production.
        doors: the trial namespace, the trial's record, the service's models.
        machine: what the cluster runs on.
        folder: for golden examples.
        actor: who drills.
        spoiled: gives the same doors with a key that the storage refuses; None: there is no such key here.
        by_gateway: whether the users of production, who are asked meanwhile, come through the gateway.
    """

    def __init__(
        self,
        decision: Decision,
        plan: RolloutPlan,
        *,
        doors: Doors,
        machine: Machine,
        folder: Path,
        actor: str,
        spoiled: Callable[[], Doors] | None = None,
        by_gateway: bool = False,
    ) -> None:
        self._decision, self._plan = decision, plan
        self.spoiled, self.by_gateway = spoiled, by_gateway
        self.doors, self.machine, self.actor = doors, machine, actor
        self.folder = folder
        self._number = FIRST_NUMBER
        self.good = ""
        """The release that has to be in use; empty before the first."""
        self.ongoing: Future[None] | None = None
        """The rollout that was begun last, or its end."""
        self.tried: list[Temporary] = []
        """What its tries before the last met."""
        self.process: subprocess.Popen[str] | None = None
        """A deployer in a process of its own."""
        self._manifest: ModelManifest | None = None
        self.candidate = ""
        """The release that was decided last."""

    @property
    def service(self) -> str:
        """The service's name."""
        return self._plan.service

    @property
    def image(self) -> str:
        """That of the release in use, by digest."""
        return self._plan.image

    @property
    def stock(self) -> bool:
        """Whether it is the stock service, of which it is known how it is started."""
        return self._plan.app is None

    def decide(self, image: str | None = None, gates: dict[str, str] | None = None, **environment: Any) -> RolloutPlan:
        """Decide on a release of the trial: the one in use, as it is or changed so."""
        date = self.doors.clock.now().date()
        release = str(ReleaseId(service=self.service, date=date, number=self._number))
        self._number += 1
        place = self._environment() | environment
        spec = {**(self._decision.spec or {}), "environments": [place], "gates": gates or {}}
        decision = self._decision.model_copy(
            update={
                "key": f"drill:{release}",
                "go": True,
                "release": release,
                "reason": Reason.FORCED,
                "sentence": "For a drill.",
                "actor": self.actor,
                "image": image or self._plan.image,
                "spec": spec,
                "choice": None,
            }
        )
        append(
            self.doors.ledger,
            self.doors.clock,
            service=self.service,
            kind=Kind.DECISION,
            key=decision.key,
            release=release,
            actor=self.actor,
            reason=Reason.FORCED,
            sentence=decision.sentence,
            data=decision.to_json(),
        )
        self.candidate = release
        return read_plan(release_entries(self.doors.ledger, release), LAST)

    def _environment(self) -> dict[str, Any]:
        given = self._plan.environment.to_json()
        return given | {
            "name": LAST,
            "namespace": self.doors.cluster.namespace,
            "replicas": REPLICAS,
            "autoscale": None,
            "traffic": None,
            "service_type": "NodePort",
            "dns_label": None,
            "source_ranges": [],
            "warm_minutes": 0,
            "heal": False,
        }

    def roll_out(self, plan: RolloutPlan, doors: Doors | None = None) -> None:
        """Roll a release out and verify it, as a deployer does. Raises as `roll_out` and `verify_release`."""
        to = doors or self.doors
        orders = Orders(to.ledger, self.service)
        prepare = cache(lambda: prepare_probe(plan, to.models, self.folder / plan.release, to.clock))
        roll_out(
            plan,
            cluster=to.cluster,
            candidate=self._candidate_address,
            prepare=prepare,
            ask=_asker(plan),
            compare=partial(self._compare, plan, to),
            ledger=to.ledger,
            orders=orders,
            clock=to.clock,
        )
        verify_release(
            plan,
            cluster=to.cluster,
            address=partial(self._cluster_address, self.service),
            probe=prepare(),
            ask=_asker(plan),
            ledger=to.ledger,
            orders=orders,
            clock=to.clock,
        )

    def begin(self, plan: RolloutPlan, doors: Doors | None = None, tries: int = 1) -> None:
        """Begin to roll a release out, beside whatever is done; `ongoing` has its end.

        What is temporary is tried again, so often in all, as Airflow does; `tried` has what came of those tries.
        """
        self.ongoing, self.tried = Future(), []
        work = partial(self._persist, plan, doors, tries)
        threading.Thread(target=_into, args=(self.ongoing, work), daemon=True).start()

    def _persist(self, plan: RolloutPlan, doors: Doors | None, tries: int) -> None:
        for number in range(tries):
            try:
                return self.roll_out(plan, doors)
            except Temporary as fault:
                self.tried.append(fault)
                if number + 1 == tries:
                    raise
            self.doors.clock.sleep(RETRY_SECONDS)

    def start_deployer(self, plan: RolloutPlan) -> subprocess.Popen[str]:
        """Start a deployer in a process of its own, which can be killed."""
        words = ["roll_out", "--release", plan.release, "--environment", LAST, "--reach", "cluster-ip"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nightferry.deployer", *words],
            env=dict(self.machine.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self.process

    def _compare(self, plan: RolloutPlan, to: Doors, stable: Manifest) -> PredictionDiff:
        golden = self.folder / plan.release
        return compare_releases(
            plan,
            stable,
            Addresses(self._cluster_address(self.service), self._candidate_address()),
            cluster=to.cluster,
            models=to.models,
            manifest=read_manifest(golden)[0],
            golden=golden,
            scratch=self.folder / "in-use",
            clock=to.clock,
        )

    def _candidate_address(self) -> str:
        return self._cluster_address(candidate_name(self.service))

    def _cluster_address(self, name: str) -> str:
        found = self.doors.cluster.get("Service", name)
        return f"http://{found['spec']['clusterIP']}" if found else "http://127.0.0.1:9"

    # Looking

    def address(self) -> str:
        """Where callers ask. Raises as `service_address`."""
        return service_address(self.doors.cluster, self.service)

    def in_use(self) -> str:
        """The release that callers get by the Service."""
        return in_use(self.doors.cluster.get("Service", self.service))

    def known(self) -> tuple[ModelManifest, list[Known]]:
        """What callers ask, with the answers of the good release. Raises as `known_answers`."""
        folder = self.folder / "asked"
        if self._manifest is None:  # that of every release of the trial
            self._manifest = fetch_golden(self._plan.model, self.doors.models, folder)
        manifest = self._manifest
        checks = self._plan.app.checks if self._plan.app else ()
        questions = golden_questions(manifest, folder, checks, most=QUESTIONS)[: 2 * QUESTIONS]
        if not questions:
            raise Permanent(
                Reason.REQUEST_INVALID,
                f"Neither the model of {self.service} has golden examples nor its app checks, so nobody could say "
                "whether an answer is wrong; publish a model with examples.",
            )
        return manifest, known_answers(self.address(), manifest, questions)


def _asker(plan: RolloutPlan) -> AskVersion:
    return ask_app(plan.app) if plan.app else ask_version


def _into(future: Future[None], work: Callable[[], None]) -> None:
    try:
        work()
    except BaseException as fault:
        future.set_exception(fault)
    else:
        future.set_result(None)
