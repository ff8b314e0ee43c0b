"""The task that closes a release's record, however the release went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from airflow.sdk import BaseOperator

from nightferry.clients.clock import SystemClock
from nightferry.entities.decision import Decision
from nightferry.entities.release_steps import expected_steps
from nightferry.entities.service_spec import ServiceSpec
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.operators.failures import FAILURE, reported
from nightferry.operators.run_facts import actor, decision_key
from nightferry.steps.record.close_release import (
    BY_HAND,
    DECIDE,
    KILLED,
    Ended,
    Failure,
    close_release,
    record_undecided,
)

SUCCEEDED, FAILED = "success", "failed"


class RecordOperator(BaseOperator):
    """Writes failed, interrupted and unbegun steps and the closing entry; give it the trigger rule `all_done`."""

    template_fields: Sequence[str] = ()

    def __init__(self, *, spec: ServiceSpec, storage_conn_id: str = STORAGE, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.storage_conn_id = storage_conn_id

    def execute(self, context: Any) -> dict[str, Any] | None:
        """Close the record, and return the closing entry's reason and sentence."""
        with reported(context):
            ti, run, clock = context["ti"], context["dag_run"], SystemClock()
            ledger = StorageHook(self.storage_conn_id).ledger_store()
            states = {crumb["task_id"]: crumb["state"] for crumb in ti.get_task_breadcrumbs(ti.dag_id, ti.run_id)}
            made = ti.xcom_pull(task_ids=DECIDE)
            if states.get(DECIDE) == SUCCEEDED and made:
                entry = close_release(
                    decision=Decision.model_validate(made),
                    spec=self.spec,
                    ended=list(self._ended(ti, states)),
                    ledger=ledger,
                    clock=clock,
                )
            else:
                entry = record_undecided(
                    service=self.spec.service,
                    key=decision_key(run),
                    actor=actor(run),
                    failure=BY_HAND if states.get(DECIDE) == SUCCEEDED else failure_of(ti, DECIDE),
                    ledger=ledger,
                    clock=clock,
                )
        if entry is None:
            self.log.info("Nothing was to be released, or the release waits; the record says which.")
            return None
        self.log.info("%s: %s", entry.reason, entry.sentence)
        return {"reason": entry.reason, "sentence": entry.sentence}

    def _ended(self, ti: Any, states: dict[str, str]) -> Iterator[Ended]:
        for step in expected_steps([environment.name for environment in self.spec.environments]):
            state = states.get(step)
            if state == FAILED:
                yield Ended(step, begun=True, failure=failure_of(ti, step))
            else:
                yield Ended(step, begun=state == SUCCEEDED)


def failure_of(ti: Any, task: str) -> Failure:
    """What the task left in XCom; one that left nothing was killed."""
    note = ti.xcom_pull(task_ids=task, key=FAILURE)
    if not note:
        return KILLED
    return Failure(note["reason"], note["sentence"], note["permanent"])
