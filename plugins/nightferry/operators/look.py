"""The task that looks, in one namespace, whether what runs is what the record says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from airflow.sdk import BaseOperator

from nightferry.clients.clock import SystemClock
from nightferry.clients.patient_cluster import PatientCluster
from nightferry.errors import NightferryError
from nightferry.hooks.cluster import open_cluster
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.operators.failures import reported
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.back.finish_release import decided_environment
from nightferry.steps.rollout.drift.heal import NOT_HEALED, look_and_record
from nightferry.steps.rollout.drift.look import Look

TO_HEAL = "to_heal"
"""The XCom key under which the task leaves what is to be put back: [[service, environment], …]."""


class Looked(NamedTuple):
    """What is looked at."""

    service: str
    environment: str
    heal: bool
    """Whether what was changed by hand is put back."""


class LookOperator(BaseOperator):
    """Looks from Airflow's own process, with Airflow's right to read, and records what it finds.

    A service whose users get nothing yet, or whose release in use lives in another namespace still, is not looked at.
    """

    template_fields: Sequence[str] = ()

    def __init__(
        self, *, cluster: str, namespace: str, looked: Sequence[Looked], storage_conn_id: str = STORAGE, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.cluster = cluster
        self.namespace = namespace
        self.looked = tuple(looked)
        self.storage_conn_id = storage_conn_id

    def execute(self, context: Any) -> None:
        """Look at each service, and leave what is to be put back, whatever became of the others."""
        with reported(context):
            faults: list[NightferryError] = []
            words: list[list[str]] = []
            for one in self.looked:
                try:
                    seen = self._look(one)
                except NightferryError as fault:  # the others are looked at all the same
                    faults.append(fault)
                    continue
                if one.heal and any(drift.what not in NOT_HEALED for drift in seen.drifts):
                    words.append([one.service, one.environment])
            context["ti"].xcom_push(key=TO_HEAL, value=words)
            for other in faults[1:]:
                self.log.error("%s: %s", other.reason, other.sentence)
            if faults:
                raise faults[0]

    def _look(self, one: Looked) -> Look:
        ledger, clock = StorageHook(self.storage_conn_id).ledger_store(), SystemClock()
        traffic = read_state(ledger, one.service).traffic.get(one.environment)
        if traffic is None or traffic.release is None:
            return Look(one.service, one.environment, None)
        decided = decided_environment(ledger, one.service, one.environment)
        if (decided.cluster, decided.namespace) != (self.cluster, self.namespace):
            return Look(one.service, one.environment, None)
        cluster = PatientCluster(open_cluster(self.cluster, self.namespace), clock)
        seen = look_and_record(one.service, one.environment, cluster=cluster, ledger=ledger, clock=clock)
        for drift in seen.drifts:
            self.log.warning("%s of %s: %s", one.environment, one.service, drift.sentence)
        return seen
