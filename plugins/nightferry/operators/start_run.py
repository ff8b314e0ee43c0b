"""Start a run of another DAG from a task, in the task's own right: no login and no address of Airflow are needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse, TriggerDagRun

from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

BAD_REQUEST = 400


def start_run(dag_id: str, run_id: str, conf: Mapping[str, Any]) -> bool:
    """Start a run; whoever starts it twice has started one.

    Airflow notes for the new run the person who triggered the run of the task that calls this, if there was one: what
    a chain of runs does is that person's doing. The new run is nobody's slot: it has no logical date.

    Args:
        dag_id: the DAG.
        run_id: the run's id; what is to happen once has an id that says what it is about.
        conf: the run's parameters.

    Returns:
        False when there is a run of this id already.

    Raises:
        Permanent: (request_invalid) the DAG does not take these parameters, or Airflow cannot read its file.
        Temporary: (airflow_unavailable) Airflow has no such DAG yet, or does not answer.
    """
    # The door to Airflow is opened when a task starts, so it is looked up when it is used.
    from airflow.sdk.api.client import ServerResponseError
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    try:
        answer = SUPERVISOR_COMMS.send(TriggerDagRun(dag_id=dag_id, run_id=run_id, conf=dict(conf)))
    except AirflowRuntimeError as fault:
        raise _refused(dag_id, run_id, fault.error.detail or {}, fault.error.error.value) from fault
    except ServerResponseError as fault:  # `dag.test()` has no supervisor between the task and the API
        detail = {"status_code": fault.response.status_code, "detail": fault.detail}
        raise _refused(dag_id, run_id, detail, "no answer") from fault
    if not isinstance(answer, ErrorResponse):
        return True
    if answer.error == ErrorType.DAGRUN_ALREADY_EXISTS:
        return False
    raise _refused(dag_id, run_id, answer.detail or {}, answer.error.value)


def _refused(dag_id: str, run_id: str, answer: Mapping[str, Any], otherwise: str) -> NightferryError:
    said: Any = answer.get("detail") or answer.get("message") or otherwise
    while isinstance(said, Mapping) and (said.get("detail") or said.get("message")):
        said = said.get("detail") or said.get("message")
    sentence = f"The run {run_id} of {dag_id} could not be started: {str(said).partition(chr(10))[0][:300]}"
    if answer.get("status_code") == BAD_REQUEST:
        return Permanent(Reason.REQUEST_INVALID, sentence)
    return Temporary(Reason.AIRFLOW_UNAVAILABLE, sentence)
