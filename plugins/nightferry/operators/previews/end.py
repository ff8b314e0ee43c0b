"""The task that removes, in one cluster, the previews that are over, and the one that a person ends."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from nightferry.clients.clock import SystemClock
from nightferry.clients.patient_cluster import PatientCluster
from nightferry.hooks.cluster import open_cluster
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.manifests.trial import NAMESPACE
from nightferry.masking import mask_words
from nightferry.operators.failures import reported
from nightferry.operators.pods.deployer_pod import DeployerPodOperator
from nightferry.operators.run_facts import actor
from nightferry.steps.trial.previews.end import over


class EndPreviewsOperator(DeployerPodOperator):
    """Looks from Airflow's own process, and runs `deployer end_previews` where there is something to end."""

    def __init__(self, *, cluster: str, storage_conn_id: str = STORAGE, **kwargs: Any) -> None:
        super().__init__(command="end_previews", cluster=cluster, serves=NAMESPACE, labels={}, **kwargs)
        self.cluster = cluster
        self.storage_conn_id = storage_conn_id

    def execute(self, context: Any) -> None:
        """Look, and run the pod if that is needed."""
        with reported(context):
            run = context["dag_run"]
            asked = run.conf or {}
            self.arguments = ["end_previews"]
            if asked.get("preview"):
                named = ["--preview", str(asked["preview"]), "--actor", actor(run)]
                self.arguments += [*named, f"--reason={mask_words(str(asked.get('reason') or ''))}"]
            elif not self._over():
                raise AirflowSkipException("No preview is over.")
            super().execute(context)

    def _over(self) -> bool:
        clock = SystemClock()
        cluster = PatientCluster(open_cluster(self.cluster, NAMESPACE), clock)
        return bool(over(cluster, StorageHook(self.storage_conn_id).ledger_store(), clock))
