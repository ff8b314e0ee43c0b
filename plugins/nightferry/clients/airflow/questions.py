"""Questions that Airflow asks people: find them and answer them, as the login that the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from nightferry.clients.airflow.api import AirflowApi, detail
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

APPROVE, REJECT = "Approve", "Reject"
"""The options, as Airflow's approval operator calls them."""
REASON = "reason"
"""The field of the answer."""
MOST = 100
"""How many open questions are listed."""


@dataclass(frozen=True)
class OpenQuestion:
    """One question that nobody answered yet."""

    dag: str
    run: str
    task: str
    subject: str
    body: str
    asked: tuple[str, ...]
    """The names of those who may answer."""


class Questions(Protocol):
    """Airflow's open questions. Raises Permanent (airflow_denied) and Temporary (airflow_unavailable)."""

    @property
    def user(self) -> str:
        """Whose login answers; empty where a token does."""
        ...

    def open(self, dag: str = "") -> list[OpenQuestion]:
        """Those that wait for an answer, of one DAG or of all."""
        ...

    def answer(self, question: OpenQuestion, *, yes: bool, why: str) -> None:
        """Answer one.

        Raises:
            Permanent: (not_counted) this login may not answer it; (not_waiting) somebody was first, or it is gone;
                (request_invalid) Airflow does not take the answer.
        """
        ...


class AirflowQuestions:
    """Over Airflow's REST API."""

    def __init__(self, airflow: AirflowApi) -> None:
        self._airflow = airflow

    @property
    def user(self) -> str:
        """Whose login answers; empty where a token does."""
        return self._airflow.user

    def open(self, dag: str = "") -> list[OpenQuestion]:
        """Those that wait for an answer."""
        path = f"/api/v2/dags/{quote(dag) or '~'}/dagRuns/~/hitlDetails"
        asked = f"{path}?response_received=false&state=awaiting_input&limit={MOST}"
        answer = self._airflow.call("GET", asked, accept=(404,))
        if answer.status_code == 404:
            return []
        return [_question(found) for found in answer.json()["hitl_details"]]

    def answer(self, question: OpenQuestion, *, yes: bool, why: str) -> None:
        """Answer one."""
        path = (
            f"/api/v2/dags/{quote(question.dag)}/dagRuns/{quote(question.run, safe='')}"
            f"/taskInstances/{quote(question.task)}/-1/hitlDetails"
        )
        body = {"chosen_options": [APPROVE if yes else REJECT], "params_input": {REASON: why}}
        answer = self._airflow.call("PATCH", path, body, accept=(400, 403, 404, 409, 422))
        if answer.status_code == 403:
            who = self.user or "This login"
            raise Permanent(
                Reason.NOT_COUNTED,
                f"{who} may not answer this: Airflow lets {', '.join(question.asked) or 'nobody'} do so "
                f"({detail(answer)}).",
            )
        if answer.status_code in (404, 409):
            raise Permanent(
                Reason.NOT_WAITING, "Somebody answered this question meanwhile, or it is not asked any more."
            )
        if not answer.ok:
            raise Permanent(Reason.REQUEST_INVALID, f"Airflow does not take the answer: {detail(answer)}")


def _question(found: Mapping[str, Any]) -> OpenQuestion:
    task = found["task_instance"]
    return OpenQuestion(
        dag=str(task["dag_id"]),
        run=str(task["dag_run_id"]),
        task=str(task["task_id"]),
        subject=str(found["subject"]),
        body=str(found.get("body") or ""),
        asked=tuple(str(user["name"]) for user in found.get("assigned_users") or ()),
    )
