"""The trial copy of a service: its release in use, brought up where nobody uses it, on a record of its own.

Releases go into it by the same steps as everywhere: `roll_out`, `verify_release`, with their going back.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nightferry.drill.callers import Known, known_answers
from nightferry.drill.carry_out import Doors, carry_out, cluster_address
from nightferry.drill.machine import Machine
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.model_version import ModelManifest
from nightferry.entities.reason import Reason
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_file.strategy import BLUE_GREEN
from nightferry.entities.state.service_state import LAST
from nightferry.errors import Permanent, Temporary
from nightferry.steps.judging.questions import golden_questions
from nightferry.steps.model.fetch_golden import fetch_golden
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import append
from nightferry.steps.rollout.read_plan import read_plan
from nightferry.steps.rollout.switch_service import in_use
from nightferry.steps.services.service_address import service_address

FIRST_NUMBER = 9001
"""Of the releases of a drill, so that nobody takes one for a release of the night."""
REPLICAS = 2
RETRY_SECONDS = 5.0
"""Between two tries of a rollout."""
QUESTIONS = 12
"""Golden examples and checks that callers ask."""


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
            "strategy": BLUE_GREEN,
        }

    def roll_out(self, plan: RolloutPlan, doors: Doors | None = None) -> None:
        """Roll a release out and verify it, as a deployer does. Raises as `carry_out`."""
        carry_out(plan, doors or self.doors, self.folder)

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

    # Looking

    def address(self) -> str:
        """Where callers ask. Raises as `service_address`."""
        return service_address(self.doors.cluster, self.service)

    def hosts(self) -> set[str]:
        """The hosts that whoever asks the release in use names: callers, and who verifies it. Raises as `address`."""
        within = cluster_address(self.doors.cluster, self.service)
        return {urlsplit(address).netloc for address in (self.address(), within)}

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


def _into(future: Future[None], work: Callable[[], None]) -> None:
    try:
        work()
    except BaseException as fault:
        future.set_exception(fault)
    else:
        future.set_result(None)
