"""The tasks that bring a release into use in one environment, and that verify it there.

Each runs in a pod. The rollout's pod also takes the first look at what users get, so that on a good night the
verification finds itself done; on any other it has a pod of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from nightferry.clients.ledger_store import LedgerStore
from nightferry.entities.decision import Decision
from nightferry.entities.deployer_end import EXIT_PERMANENT, EXIT_TEMPORARY
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import Environment, ServiceSpec
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.operators.failures import reported
from nightferry.operators.pods.deployer_pod import DeployerPodOperator, environment_labels
from nightferry.operators.run_facts import DECISION, read_decision
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain, of_release

IMAGE = "{{ ti.xcom_pull(task_ids='publish_image')['image'] }}"
"""The template of a field that holds the released image."""


class RollOutOperator(DeployerPodOperator):
    """Brings the release into use in an environment. The deployer writes on the record what it did."""

    COMMAND = "roll_out"
    template_fields: Sequence[str] = (*DeployerPodOperator.template_fields, "decision", "released")

    def __init__(
        self,
        *,
        spec: ServiceSpec,
        environment: Environment,
        decision: str = DECISION,
        released: str = IMAGE,
        storage_conn_id: str = STORAGE,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            command=self.COMMAND,
            cluster=environment.cluster,
            serves=environment.namespace,
            labels=environment_labels(spec.service, environment),
            **kwargs,
        )
        self.spec = spec
        self.environment = environment
        self.decision = decision
        self.released = released
        self.storage_conn_id = storage_conn_id
        self._first_try = False

    def execute(self, context: Any) -> None:
        """Run the pod, and on failure say why it failed, as the deployer wrote it on the record."""
        with reported(context):
            decision = read_decision(self.decision)
            self._first_try = context["ti"].try_number == 1
            if self.done_before(decision):
                return
            self.arguments = [self.COMMAND, "--plan", self._plan(decision).model_dump_json(), *self.words(context)]
            super().execute(context)

    def words(self, context: Any) -> list[str]:
        """More words for the deployer's command line: a pod that rolled out verifies too, if all is right at once."""
        return ["--verify"]

    def done_before(self, decision: Decision) -> bool:
        """Whether no pod is needed. A rollout finds out in its pod, from the cluster."""
        return False

    def recorded(self) -> bool:
        """Whether the record says that the pod's work is done."""
        with suppress(NightferryError):  # then the pod's own end says it
            return self.success(read_decision(self.decision)) is not None
        return False

    def success(self, decision: Decision) -> LedgerEntry | None:
        """The record's word that this task succeeded; on its first try only.

        What is tried or cleared again is to be done again, whatever an earlier try wrote.
        """
        if not self._first_try:
            return None
        release = str(decision.release)
        return Chain(self.ledger(), decision.service).find(f"{release}/{self.task_id}", of_release(release))

    def _plan(self, decision: Decision) -> RolloutPlan:
        return RolloutPlan(
            service=self.spec.service,
            release=str(decision.release),
            image=self.released,
            model=decision.candidate.model,
            model_repository=self.spec.model.repository,
            source=decision.candidate.source.commit,
            actor=decision.actor,
            environment=self.environment,
        )

    def explained(self, fault: Exception) -> NightferryError:
        """The failure as the deployer wrote it on the record; only its exit code and the record count, never a log."""
        if self.exit_code() not in (EXIT_PERMANENT, EXIT_TEMPORARY):
            return super().explained(fault)
        decision = read_decision(self.decision)
        entries = release_entries(self.ledger(), str(decision.release))
        failures = [entry for entry in entries if entry.key.startswith(f"{decision.release}/{self.task_id}/failed")]
        if not failures:
            return super().explained(fault)
        kind = Permanent if self.exit_code() == EXIT_PERMANENT else Temporary
        return kind(failures[-1].reason, failures[-1].sentence)

    def ledger(self) -> LedgerStore:
        """Where the deployer writes what it did."""
        return StorageHook(self.storage_conn_id).ledger_store()


class VerifyOperator(RollOutOperator):
    """Asks the environment's service at its own address whether it is the release; if not, the deployer goes back."""

    COMMAND = "verify"

    def words(self, context: Any) -> list[str]:
        """On the last try an unreachable service counts as a wrong one, and the deployer goes back at once."""
        ti = context["ti"]
        return ["--last-try"] if ti.try_number > ti.max_tries else []

    def done_before(self, decision: Decision) -> bool:
        """Whether the rollout's pod has verified already."""
        found = self.success(decision)
        if found:
            self.log.info("Verified right after the rollout, in the same pod: %s", found.sentence)
        return found is not None
