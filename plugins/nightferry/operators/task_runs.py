"""The runs of Airflow's DAGs, as a task reaches them through its supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time.comms import DRCount, GetDRCount

from nightferry.entities.reason import Reason
from nightferry.errors import Temporary
from nightferry.operators.start_run import start_run

UNDER_WAY = ["queued", "running"]


class TaskRuns:
    """Runs."""

    def start(self, dag: str, run: str, conf: Mapping[str, Any]) -> bool:
        """Start it; False when there is one already."""
        return start_run(dag, run, conf)

    def known(self, dag: str, run: str) -> bool:
        """Whether there is or was such a run."""
        return _count(dag, run, None) > 0

    def under_way(self, dag: str, run: str) -> bool:
        """Whether that run waits or runs."""
        return _count(dag, run, UNDER_WAY) > 0


def _count(dag: str, run: str, states: list[str] | None) -> int:
    # Asked for a run that is not there, Airflow counts none; its state would be an error in the task's log.
    from airflow.sdk.api.client import ServerResponseError
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    try:
        answer = SUPERVISOR_COMMS.send(GetDRCount(dag_id=dag, run_ids=[run], states=states))
    except (AirflowRuntimeError, ServerResponseError) as fault:
        sentence = f"Airflow does not say what became of the run {run} of {dag}."
        raise Temporary(Reason.AIRFLOW_UNAVAILABLE, sentence) from fault
    return answer.count if isinstance(answer, DRCount) else 0
