"""The task that writes down why a preview did not come up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator

from nightferry.clients.clock import SystemClock
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.release_steps import BUILD_IMAGE, CHECK_MODEL, FETCH_MODEL, TEST_IMAGE, TEST_SOURCE
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.operators.failures import reported
from nightferry.operators.previews.pin import PIN, preview_request
from nightferry.operators.record import FAILED, SUCCEEDED, failure_of
from nightferry.operators.run_facts import actor, decision_key
from nightferry.steps.record.preview_record import record_end, record_not_pinned

BRING_UP = "bring_up"
STEPS = (TEST_SOURCE, FETCH_MODEL, CHECK_MODEL, BUILD_IMAGE, TEST_IMAGE, BRING_UP)


class RecordPreviewOperator(BaseOperator):
    """Ends a preview on the record whose tasks failed; give it the trigger rule `all_done`. What a killed deployer left
    in the cluster is removed by the next look at previews, which reads that."""

    template_fields: Sequence[str] = ()

    def __init__(self, *, storage_conn_id: str = STORAGE, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.storage_conn_id = storage_conn_id

    def execute(self, context: Any) -> dict[str, Any] | None:
        """Write the end where there was a failure, and return its reason and sentence."""
        with reported(context):
            entry = self._close(context["ti"], context["dag_run"])
        if entry is None:
            self.log.info("It is up; the record has its address and its comparison.")
            return None
        self.log.info("%s: %s", entry.reason, entry.sentence)
        return {"reason": entry.reason, "sentence": entry.sentence}

    def _close(self, ti: Any, run: Any) -> LedgerEntry | None:
        ledger, clock = StorageHook(self.storage_conn_id).ledger_store(), SystemClock()
        states = {crumb["task_id"]: crumb["state"] for crumb in ti.get_task_breadcrumbs(ti.dag_id, ti.run_id)}
        made = ti.xcom_pull(task_ids=PIN)
        if states.get(PIN) != SUCCEEDED or not made:
            why = failure_of(ti, PIN)
            service, who = preview_request(run).service, actor(run)
            return record_not_pinned(ledger, clock, service, decision_key(run), who, why.reason, why.sentence)
        if states.get(BRING_UP) == SUCCEEDED:
            return None
        preview = Decision.model_validate(made)
        failed = next((step for step in STEPS if states.get(step) == FAILED), BRING_UP)
        why = failure_of(ti, failed)
        told = f"{preview.release} did not come up: {failed} failed: {why.sentence}"
        return record_end(ledger, clock, str(preview.release), actor=preview.actor, reason=why.reason, sentence=told)
