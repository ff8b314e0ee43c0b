"""Airflow's questions over REST (answers as recorded from Airflow 3.3)."""

from __future__ import annotations

import pytest
from nightferry.clients.airflow.api import AirflowApi
from nightferry.clients.airflow.questions import AirflowQuestions, OpenQuestion
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

from tests.unit.clients.test_airflow_api import PASSWORD, Server
from tests.unit.clients.test_airflow_api import server as server

OPEN = "/api/v2/dags/approve_digits/dagRuns/~/hitlDetails?response_received=false&state=awaiting_input&limit=100"
ANSWER = "/api/v2/dags/approve_digits/dagRuns/approve-1/taskInstances/answer_1/-1/hitlDetails"
QUESTION = OpenQuestion("approve_digits", "approve-1", "answer_1", "May it?", "all of it", ("bert",))


@pytest.fixture
def questions(server: Server) -> AirflowQuestions:
    return AirflowQuestions(AirflowApi(server.url, "admin", PASSWORD))


def test_open_questions_are_read(server: Server, questions: AirflowQuestions) -> None:
    task = {"dag_id": "approve_digits", "dag_run_id": "approve-1", "task_id": "answer_1"}
    detail = {
        "task_instance": task,
        "subject": "May it?",
        "body": "all of it",
        "assigned_users": [{"id": "7", "name": "bert"}],
    }
    server.answers["GET", OPEN] = 200, {"hitl_details": [detail], "total_entries": 1}
    assert questions.open("approve_digits") == [QUESTION]
    assert questions.open("approve_nothing") == []


def test_an_answer_is_given(server: Server, questions: AirflowQuestions) -> None:
    server.answers["PATCH", ANSWER] = 200, {}
    questions.answer(QUESTION, yes=False, why="no")
    assert server.bodies[-1] == {"chosen_options": ["Reject"], "params_input": {"reason": "no"}}
    assert questions.user == "admin"


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (403, Reason.NOT_COUNTED, "Airflow lets bert do so"),
        (404, Reason.NOT_WAITING, "not asked any more"),
        (409, Reason.NOT_WAITING, "meanwhile"),
        (400, Reason.REQUEST_INVALID, "because"),
    ],
)
def test_a_refusal_has_a_sentence(
    server: Server, questions: AirflowQuestions, status: int, reason: Reason, words: str
) -> None:
    server.answers["PATCH", ANSWER] = status, {"detail": "because"}
    with pytest.raises(Permanent) as caught:
        questions.answer(QUESTION, yes=True, why="x")
    assert caught.value.reason == reason
    assert words in caught.value.sentence
