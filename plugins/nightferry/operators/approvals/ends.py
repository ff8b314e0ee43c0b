"""The tasks after the questions: going on with what was approved, and ending what was not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from nightferry.clients.clock import SystemClock
from nightferry.entities.approvals.runs import dag_of, resumed_by, run_of
from nightferry.entities.dag_names import RELEASE
from nightferry.entities.decision import Decision
from nightferry.entities.trigger import Cause
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.operators.approvals.matter import matter_of
from nightferry.operators.failures import reported
from nightferry.operators.start_run import start_run
from nightferry.steps.approvals.end_waiting import end_waiting


def ask_people(decision: Decision, environment: str, image: str) -> None:
    """Start the run that asks people about an image, if it was not started. Raises as `start_run`."""
    release = str(decision.release)
    conf = {"release": release, "environment": environment}
    start_run(dag_of(decision.service), run_of(release, environment, image), conf)


class _AfterQuestions(BaseOperator):
    """Knows the service and the record."""

    template_fields: Sequence[str] = ()

    def __init__(self, *, service: str, storage_conn_id: str = STORAGE, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.storage_conn_id = storage_conn_id


class GoOnOperator(_AfterQuestions):
    """Starts the run that goes on with the release, if the record's answers approve it."""

    def execute(self, context: Any) -> None:
        """Start it.

        Raises:
            AirflowSkipException: it is not approved, whatever the tasks before are marked as.
        """
        with reported(context):
            matter = matter_of(context["dag_run"], self.service, self.storage_conn_id)
            count = matter.count
            if not count.approved:
                raise AirflowSkipException(f"{len(count.yes)} of {matter.terms.needed} approved {matter.release}.")
            by = ", ".join(count.yes)
            cause = Cause(kind="approval", by=by, detail=f"{by} approved it for {matter.environment}")
            conf = {"resume": matter.release, "trigger": cause.to_json()}
            started = start_run(RELEASE + self.service, resumed_by(matter.release, matter.environment), conf)
            self.log.info("%s %s", matter.release, "goes on." if started else "goes on already.")


class EndOperator(_AfterQuestions):
    """Closes the release where people said no or their time is over; give it the trigger rule `all_done`."""

    def execute(self, context: Any) -> None:
        """Close it, if that is what the record's answers come to."""
        with reported(context):
            matter = matter_of(context["dag_run"], self.service, self.storage_conn_id)
            ledger = StorageHook(self.storage_conn_id).ledger_store()
            entry = end_waiting(ledger, SystemClock(), matter.release, matter.environment)
            self.log.info("%s", entry.sentence if entry else f"{matter.release} does not end here.")
