"""The tasks of the DAG by which a person rolls back from Airflow's pages."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from nightferry import settings
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import CLUSTER, Environment
from nightferry.entities.state.service_state import LAST, ServiceState
from nightferry.errors import Permanent
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.masking import mask_words
from nightferry.operators.failures import reported
from nightferry.operators.pods.deployer_pod import (
    DEPLOYER_LABELS,
    NAMESPACE_LABEL,
    DeployerPodOperator,
    environment_labels,
)
from nightferry.operators.run_facts import actor
from nightferry.steps.record.state import read_state
from nightferry.steps.services.load_services import load_service


class RollBackOperator(DeployerPodOperator):
    """Runs `deployer roll_back` for the service that the run names, in one of its environments.

    An environment before the last one follows that: it goes to the same release, and only where its users get another.
    """

    def __init__(self, *, environment: str, storage_conn_id: str = STORAGE, **kwargs: Any) -> None:
        super().__init__(command="roll_back", cluster=CLUSTER, serves=environment, labels={}, **kwargs)
        self.environment = environment
        self.storage_conn_id = storage_conn_id

    def execute(self, context: Any) -> None:
        """Fill in what the run asks for, and run the pod."""
        with reported(context):
            asked = context["params"]
            reason = str(asked.get("reason") or "").strip()
            if not reason:
                raise Permanent(Reason.REQUEST_INVALID, "A rollback needs a reason; it goes on the record.")
            now, service = settings.load(), str(asked["service"])
            spec = load_service(now.services_folders, now.expandable, service)
            place = next((one for one in spec.environments if one.name == self.environment), None)
            if place is None:
                raise AirflowSkipException(f"{service} has no environment {self.environment}.")
            to = self._target(read_state(StorageHook(self.storage_conn_id).ledger_store(), service), asked.get("to"))
            self._point(service, place)
            words = ["--service", service, "--environment", place.name, f"--reason={mask_words(reason)}"]
            self.arguments = ["roll_back", *words, "--actor", actor(context["dag_run"]), *(["--to", to] if to else [])]
            super().execute(context)

    def _target(self, state: ServiceState, asked: str | None) -> str | None:
        if self.environment == LAST:
            return asked or None
        last, here = state.traffic.get(LAST), state.traffic.get(self.environment)
        if last is None or last.release is None or here is None or here.release in (None, last.release):
            raise AirflowSkipException(f"The users of {self.environment} do not get what was left.")
        return last.release

    def _point(self, service: str, place: Environment) -> None:
        self.kubernetes_conn_id, self.serves = place.cluster, place.namespace
        whom = {NAMESPACE_LABEL: place.namespace, **environment_labels(service, place)}
        self.labels = {**DEPLOYER_LABELS, **whom}
