"""The task that asks people one question, in Airflow's Required Actions, and writes their answer on the record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException

from nightferry import settings
from nightferry.clients.clock import SystemClock
from nightferry.entities.approvals.approval import Answer
from nightferry.entities.approvals.people import People
from nightferry.entities.reason import Reason
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.operators.approvals.matter import Matter, matter_of
from nightferry.operators.approvals.notify import TellApprovers
from nightferry.operators.failures import reported
from nightferry.steps.approvals.load_people import load_people
from nightferry.steps.approvals.question import body_of, subject_of
from nightferry.steps.approvals.record_answer import record_answer

REASON = "reason"
"""The field of the answer's form."""


class ApprovalStageOperator(ApprovalOperator):
    """Asks those who may still answer. Airflow lets nobody else; the record says whether an answer counts.

    The task waits in no process. What is written down is what Airflow's own details of the question say: who, when,
    what. A stage that somebody marks as done leaves nothing on the record, so it is no yes.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, service: str, storage_conn_id: str = STORAGE, **kwargs: Any) -> None:
        # The run's own parameters, which Airflow adds to every task's, are no field of the answer.
        form = Param("", type="string", maxLength=500, title="Reason", description="On the record.", source="task")
        kwargs["params"] = {REASON: form}
        super().__init__(
            subject=f"May a release of {service} go on?",
            notifiers=TellApprovers(),
            response_timeout=dt.timedelta(days=30),
            **kwargs,
        )
        self.service = service
        self.storage_conn_id = storage_conn_id
        self.matter: Matter | None = None
        """What is asked about, once it is; for what tells people."""

    def execute(self, context: Any) -> Any:
        """Ask.

        Raises:
            AirflowSkipException: nobody is to be asked any more.
        """
        with reported(context):
            clock = SystemClock()
            matter = self.matter = matter_of(context["dag_run"], self.service, self.storage_conn_id)
            if over := matter.over(clock.now()):
                raise AirflowSkipException(over)
            terms, count = matter.terms, matter.count
            people = _people()
            self.subject = subject_of(matter.decision, matter.environment, count, terms)
            self.body = body_of(matter.decision, matter.environment, terms, count, matter.entries)
            self.assigned_users = [{"id": people.id_of(one), "name": one} for one in count.left]
            self.response_timeout = dt.datetime.fromisoformat(str(terms.until)) - clock.now()
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Write the answer down; where it does not count, ask again.

        Raises:
            AirflowSkipException: the time is over.
        """
        with reported(context):
            if "error" in event:
                raise AirflowSkipException("Nobody answered in time.")
            said = HITLOperator.execute_complete(self, context, event)
            matter = matter_of(context["dag_run"], self.service, self.storage_conn_id)
            answer = self._answer(context, matter, said)
            ledger = StorageHook(self.storage_conn_id).ledger_store()
            entry = record_answer(ledger, SystemClock(), matter.release, matter.environment, answer)
            self.log.info("%s", entry.sentence)
        if entry.reason == Reason.NOT_COUNTED:
            return self.execute(context)
        return {"person": answer.person, "yes": answer.yes, "entry": entry.sequence}

    def _answer(self, context: Any, matter: Matter, said: Any) -> Answer:
        user = said["responded_by_user"] or {"id": "", "name": "nobody"}
        ti = context["ti"]
        return Answer(
            person=_person(user, _people()),
            user_id=str(user["id"]),
            yes=said["chosen_options"] == [self.APPROVE],
            why=str((said["params_input"] or {}).get(REASON) or ""),
            at=_moment(said["responded_at"]),
            image=matter.terms.image,
            run=str(ti.run_id),
            task=str(ti.task_id),
        )


def _people() -> People:
    return load_people(settings.load().people_file)


def _person(user: dict[str, str], people: People) -> str:
    """The person of a login: its name, unless its id is not that person's."""
    name, number = str(user["name"]), str(user["id"])
    return name if number in (people.id_of(name), name) else f"{name} ({number})"


def _moment(at: Any) -> str:
    moment = at if isinstance(at, dt.datetime) else dt.datetime.fromisoformat(str(at))
    return moment.astimezone(dt.UTC).isoformat()
