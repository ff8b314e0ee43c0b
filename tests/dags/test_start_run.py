"""A task starts a run of another DAG: once, whoever asks how often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.operators.start_run import start_run

from tests.dags.bag import parsed


def test_a_run_is_started_once(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bool] = []
    conf = {"service": "digits", "reason": "sevens are wrong"}

    def twice(operator: Any, context: Any) -> None:
        said.extend([start_run("roll_back", "back-1", conf), start_run("roll_back", "back-1", conf)])

    dag = parsed().dags["retire_releases"]
    for task in dag.tasks:
        monkeypatch.setattr(type(task), "execute", twice)
    dag.partial_subset("nightferry_cluster.staging").test()
    assert said == [True, False]
    from airflow.models.dagrun import DagRun

    (run,) = DagRun.find(dag_id="roll_back", run_id="back-1")
    assert (run.conf, run.logical_date) == (conf, None)


@pytest.mark.parametrize(
    ("status", "detail", "fault", "words"),
    [
        (404, {"reason": "not_found", "message": "Dag with dag_id: 'approve_x' not found"}, Temporary, "not found"),
        (400, {"reason": "value_error", "message": "Invalid input for param reason\n\nmore"}, Permanent, "reason"),
        (503, None, Temporary, "Server returned error"),
    ],
)
def test_a_refusal_is_said_in_airflows_words(
    status: int, detail: Any, fault: type[NightferryError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse

    facts = {"status_code": status, "message": "Server returned error", "detail": detail and {"detail": detail}}

    def refuse(message: Any) -> None:
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=facts))

    door = SimpleNamespace(send=refuse)
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", door, raising=False)
    with pytest.raises(fault, match=words) as caught:
        start_run("approve_x", "approve-1", {})
    assert "more" not in caught.value.sentence
