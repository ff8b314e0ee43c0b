"""The tasks that bring a release into use in one environment, and that look at it again there.

Each runs the deployer in a pod, which reads the release from the record. The rollout's pod looks at what users get and
goes back if that is not right, so the verification needs a pod of its own only where its word is missing or is asked
for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.decision import Decision
from nightferry.entities.deployer_end import EXIT_PERMANENT, EXIT_TEMPORARY
from nightferry.entities.fact_key import FAILED, RESTORED, ROLLBACK, WITHDRAWAL, FactKey, of_environment, step_of
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.release_steps import VERIFY
from nightferry.entities.service_spec import Environment, ServiceSpec
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.operators.approvals.ends import ask_people
from nightferry.operators.failures import reported
from nightferry.operators.pods.deployer_pod import DeployerPodOperator, environment_labels
from nightferry.operators.run_facts import DECISION, read_decision
from nightferry.steps.admission.admit import admit
from nightferry.steps.admission.holders import HOLDERS
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain, of_release
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.read_plan import read_plan


class RollOutOperator(DeployerPodOperator):
    """Brings the release into use in an environment. The deployer writes on the record what it did."""

    COMMAND = "roll_out"
    template_fields: Sequence[str] = (*DeployerPodOperator.template_fields, "decision")

    def __init__(
        self,
        *,
        spec: ServiceSpec,
        environment: Environment,
        decision: str = DECISION,
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
        self.storage_conn_id = storage_conn_id
        self._first_try = False

    def execute(self, context: Any) -> None:
        """Run the pod, and on failure say why it failed, as the deployer wrote it on the record."""
        with reported(context):
            decision = read_decision(self.decision)
            self._first_try = context["ti"].try_number == 1
            # The deployer reads the same; what is missing is said without a pod.
            read_plan(release_entries(self.ledger(), str(decision.release)), self.environment.name)
            if self._done_before(decision):
                return
            self.admit(decision)
            self.arguments = [
                self.COMMAND,
                "--release",
                str(decision.release),
                "--environment",
                self.environment.name,
            ]
            super().execute(context)

    def admit(self, decision: Decision) -> None:
        """Ask whether the release may enter the environment now.

        Raises:
            AirflowSkipException: it waits before it, or ends here; that is on the record.
        """
        stay = admit(decision, self.environment.name, self.spec, HOLDERS, ledger=self.ledger(), clock=SystemClock())
        if stay is not None:
            if stay.reason == Reason.AWAITS_APPROVAL:
                plan = read_plan(release_entries(self.ledger(), str(decision.release)), self.environment.name)
                ask_people(decision, self.environment.name, plan.image)
            raise AirflowSkipException(stay.sentence)

    def _done_before(self, decision: Decision) -> bool:
        """Whether a release that waited, and goes on, was in this environment before it waited, and was not taken back
        from there: then it is rolled out there anew, if the deployer lets it."""
        if not (decision.continued and self._first_try and self._verified(decision)):
            return False
        if self._taken_back(decision):
            return False
        self.log.info("%s was in %s before it waited", decision.release, self.environment.name)
        return True

    def _taken_back(self, decision: Decision) -> bool:
        """Whether the environment's users were sent away from the release, and not back to it."""
        where, away = self.environment.name, False
        for entry in release_entries(self.ledger(), str(decision.release)):
            step = step_of(entry.key)
            if step in (of_environment(where, ROLLBACK), of_environment(where, WITHDRAWAL)):
                away = True
            elif step == of_environment(where, RESTORED):
                away = False
        return away

    def recorded(self) -> bool:
        """Whether the record says that the pod's work is done: users get the release, and it was verified.

        On the task's first try only: what is tried or cleared again is done again, whatever an earlier try wrote.
        """
        if not self._first_try:
            return False
        with suppress(NightferryError):  # then the pod's own end says it
            decision = read_decision(self.decision)
            return self._verified(decision) is not None and not self._taken_back(decision)
        return False

    def _verified(self, decision: Decision) -> LedgerEntry | None:
        key = FactKey(str(decision.release), of_environment(self.environment.name, VERIFY))
        return Chain(self.ledger(), decision.service).find(str(key), of_release(key.release))

    def explained(self, fault: Exception) -> NightferryError:
        """The failure as the deployer wrote it on the record; only its exit code and the record count, never a log."""
        if self.exit_code() not in (EXIT_PERMANENT, EXIT_TEMPORARY):
            return super().explained(fault)
        entries = release_entries(self.ledger(), str(read_decision(self.decision).release))
        failures = [entry for entry in entries if self._tells_failure(entry)]
        if not failures:
            return super().explained(fault)
        kind = Permanent if self.exit_code() == EXIT_PERMANENT else Temporary
        return kind(failures[-1].reason, failures[-1].sentence)

    def _tells_failure(self, entry: LedgerEntry) -> bool:
        """A failure of a rollout or a verification in this environment: one pod does both."""
        key = FactKey.parse(entry.key)
        here = (of_environment(self.environment.name, step) for step in ("roll_out", VERIFY))
        return key is not None and key.outcome == FAILED and key.step in here

    def ledger(self) -> LedgerStore:
        """Where the deployer writes what it did."""
        return StorageHook(self.storage_conn_id).ledger_store()


class VerifyOperator(RollOutOperator):
    """Looks again at what users get; if it is not the release, or not right, the deployer goes back."""

    COMMAND = "verify"

    def admit(self, decision: Decision) -> None:
        """What is looked at is there already."""

    def execute(self, context: Any) -> None:
        """Look again; on the first try the record's word counts, which the rollout's pod wrote a moment ago."""
        with reported(context):
            decision = read_decision(self.decision)
            self._first_try = context["ti"].try_number == 1
            if self._done_before(decision) or (self._first_try and self._stands(decision)):
                return
        super().execute(context)

    def recorded(self) -> bool:
        """Never, since an earlier entry does not say what this pod found."""
        return False

    def _stands(self, decision: Decision) -> bool:
        """Whether users get the release by the record, verified."""
        now = read_state(self.ledger(), decision.service).traffic.get(self.environment.name)
        stands = now is not None and now.release == decision.release and now.verified and now.withdrawing is None
        if stands:
            self.log.info("%s serves %s, and the rollout's pod verified it", self.environment.name, decision.release)
        return stands


class GoBackOperator(RollOutOperator):
    """Takes a release that production went back from out of an earlier environment too; give it the trigger rule
    `one_failed`."""

    COMMAND = "finish"

    def admit(self, decision: Decision) -> None:
        """Leaving an environment is never kept from a release."""

    def _done_before(self, decision: Decision) -> bool:
        return False

    def recorded(self) -> bool:
        """Never, since no single entry says that nothing is left to be finished."""
        return False
