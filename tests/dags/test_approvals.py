"""The DAG that asks people: who is asked, what an answer leaves on the record, and what marking tasks does not do."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput
from nightferry.entities.approvals.runs import run_of
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.operators.approvals.ends import EndOperator, GoOnOperator
from nightferry.operators.approvals.notify import TellApprovers, addresses_of, run_all, slack_message, teams_card
from nightferry.operators.approvals.stage import ApprovalStageOperator

from tests.dags.bag import parsed
from tests.fakes.a_release import IMAGE
from tests.fakes.worlds.asking_world import HOURS, PEOPLE, Asking


class Stages(Asking):
    """A release that waits, and tasks of the run that asks about it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self.asked: list[dict[str, Any]] = []
        self.started: list[tuple[str, str, Any]] = []
        self.release = self.waiting()
        self.run = SimpleNamespace(
            run_id=run_of(self.release, "production", IMAGE),
            conf={"release": self.release, "environment": "production"},
        )
        here = "nightferry.operators.approvals"
        patch.setattr("nightferry.hooks.storage.StorageHook.ledger_store", lambda hook: self.ledger)
        patch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", self._asked)
        patch.setattr(f"{here}.stage.load_people", lambda file: PEOPLE)
        patch.setattr(f"{here}.notify.load_people", lambda file: PEOPLE)
        for module in ("stage", "ends"):
            patch.setattr(f"{here}.{module}.SystemClock", lambda: self.clock)
        patch.setattr(f"{here}.ends.start_run", self._started)
        patch.setattr(TellApprovers, "notify", lambda notifier, context: None)

    def _asked(self, **question: Any) -> None:
        self.asked.append(question)

    def _started(self, *run: Any) -> bool:
        self.started.append(run)
        return True

    def context(self, task: Any) -> dict[str, Any]:
        ti = SimpleNamespace(
            id="ti", run_id=self.run.run_id, task_id=task.task_id, dag_id="approve_digits", map_index=-1
        )
        ti.xcom_push = lambda **given: None
        return {"dag_run": self.run, "ti": ti, "task_instance": ti, "task": task}

    def ask(self, number: int = 1) -> list[str]:
        """Run a stage up to the question; who may answer."""
        stage = ApprovalStageOperator(task_id=f"answer_{number}", service="digits")
        with pytest.raises(TaskAwaitingInput):
            stage.execute(self.context(stage))
        return [user["id"] for user in self.asked[-1]["assigned_users"]]

    def answered(self, user: str, *, yes: bool = True, number: int = 1, id: str = "") -> Any:
        """What the stage does when Airflow has an answer."""
        stage = ApprovalStageOperator(task_id=f"answer_{number}", service="digits")
        event = {
            "chosen_options": ["Approve" if yes else "Reject"],
            "params_input": {"reason": "as it should be"},
            "responded_at": self.clock.now(),
            "responded_by_user": {"id": id or user, "name": user},
            "timedout": False,
        }
        return stage.execute_complete(self.context(stage), event)

    def go_on(self) -> None:
        task = GoOnOperator(task_id="go_on", service="digits")
        task.execute(self.context(task))

    def end(self) -> str | None:
        task = EndOperator(task_id="end", service="digits")
        task.execute(self.context(task))
        closing = [one.reason for one in self.entries(self.release) if one.kind == Kind.RELEASE]
        return closing[-1] if closing else None


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stages:
    return Stages(tmp_path, monkeypatch)


def test_two_answer_one_after_the_other_and_it_goes_on(stages: Stages) -> None:
    assert stages.ask(1) == ["bert", "carl", "dora"], "ana asked for it"
    stages.answered("bert")
    assert stages.ask(2) == ["carl", "dora"]
    stages.answered("carl", number=2)
    third = ApprovalStageOperator(task_id="answer_3", service="digits")
    with pytest.raises(AirflowSkipException, match="approved by bert, carl"):
        third.execute(stages.context(third))

    stages.go_on()

    (run,) = stages.started
    assert run[:2] == ("release_digits", f"resume-{stages.release}-production-approved")
    assert run[2]["resume"] == stages.release
    assert (run[2]["trigger"]["kind"], run[2]["trigger"]["by"]) == ("approval", "bert, carl")
    assert stages.end() is None
    assert stages.state.approvals[0].why == "as it should be"


def test_what_is_shown_says_what_a_person_needs(stages: Stages) -> None:
    stages.ask()
    question = stages.asked[-1]
    for words in (stages.release, IMAGE, "Model: one", "Asked for by: ana", "2026-11-21T02:00:00Z", "bert, carl, dora"):
        assert words in question["body"], words
    assert (question["options"], question["defaults"]) == (["Approve", "Reject"], None)


def test_an_answer_that_does_not_count_is_written_down_and_the_question_stays(stages: Stages) -> None:
    """As where the simple auth manager makes everybody an admin, whom it never holds against the list."""
    for user in ("admin", "ana", "Anonymous"):
        with pytest.raises(TaskAwaitingInput):
            stages.answered(user)
    with pytest.raises(TaskAwaitingInput):
        stages.answered("bert", id="17")
    assert stages.reasons(stages.release) == [Reason.NOT_COUNTED] * 4
    assert len(stages.asked) == 4


def test_a_task_that_was_marked_as_done_is_no_yes(stages: Stages) -> None:
    stages.ask(2)
    stages.answered("bert", number=2)
    with pytest.raises(AirflowSkipException, match="1 of 2"):
        stages.go_on()
    assert stages.started == []
    assert stages.end() == Reason.NOT_APPROVED


def test_a_cleared_question_asks_again_only_those_who_have_not_answered(stages: Stages) -> None:
    stages.answered("bert")
    assert stages.ask(1) == ["carl", "dora"]
    stages.answered("carl")
    stages.go_on()
    stages.go_on()
    assert stages.started[0] == stages.started[1], "another run was started"


def test_a_run_that_somebody_started_by_hand_asks_nobody(stages: Stages) -> None:
    stages.run.run_id = "manual__2026"
    stage = ApprovalStageOperator(task_id="answer_1", service="digits")
    with pytest.raises(Permanent) as caught:
        stage.execute(stages.context(stage))
    assert caught.value.reason == Reason.REQUEST_INVALID
    task = EndOperator(task_id="end", service="digits")
    with pytest.raises(Permanent):
        task.execute(stages.context(task))
    assert stages.state.waiting is not None


def test_the_run_of_another_service_asks_nobody(stages: Stages) -> None:
    stage = ApprovalStageOperator(task_id="answer_1", service="letters")
    with pytest.raises(Permanent):
        stage.execute(stages.context(stage))


def test_a_no_ends_it(stages: Stages) -> None:
    stages.answered("carl", yes=False)
    second = ApprovalStageOperator(task_id="answer_2", service="digits")
    with pytest.raises(AirflowSkipException):
        second.execute(stages.context(second))
    with pytest.raises(AirflowSkipException):
        stages.go_on()
    assert stages.end() == Reason.DECLINED
    assert stages.end() == Reason.DECLINED


def test_when_the_time_is_over_it_is_declined(stages: Stages) -> None:
    stages.ask()
    stages.clock.sleep(HOURS + 1)
    stage = ApprovalStageOperator(task_id="answer_1", service="digits")
    with pytest.raises(AirflowSkipException):
        stage.execute_complete(stages.context(stage), {"error": "It is over.", "error_type": "timeout"})
    with pytest.raises(AirflowSkipException):
        stages.go_on()
    assert stages.end() == Reason.APPROVAL_EXPIRED


def test_the_question_ends_when_the_time_does(stages: Stages) -> None:
    stages.clock.sleep(600)
    stage = ApprovalStageOperator(task_id="answer_1", service="digits")
    with pytest.raises(TaskAwaitingInput) as caught:
        stage.execute(stages.context(stage))
    assert caught.value.timeout == dt.timedelta(seconds=HOURS - 600)


def test_only_services_that_ask_have_such_a_dag(services: Path) -> None:
    assert "approve_digits" not in parsed().dags
    file = services / "digits.yaml"
    asking = "namespace: production, approvals: {needed: 2, from: [ana]}"
    file.write_text(file.read_text(encoding="utf-8").replace("namespace: production", asking), encoding="utf-8")
    bag = parsed()
    assert not bag.import_errors
    dag = bag.dags["approve_digits"]
    assert dag.dagrun_timeout is None
    assert dag.max_active_runs >= 100
    assert [task.task_id for task in dag.topological_sort() if task.task_id.startswith("answer")] == [
        f"answer_{number}" for number in range(1, 6)
    ]


def test_a_server_that_hangs_or_refuses_holds_up_nothing() -> None:
    import threading
    import time

    never = threading.Event()

    def refuse() -> None:
        raise ConnectionRefusedError

    done: list[str] = []
    began = time.monotonic()
    run_all([("hangs", lambda: never.wait(60)), ("refuses", refuse), ("works", lambda: done.append("x"))], 0.3)  # type: ignore[list-item, return-value]
    assert time.monotonic() - began < 5
    assert done == ["x"]
    never.set()


def test_messages_are_links_and_go_to_those_who_can_answer() -> None:
    link = "http://airflow.example/dags/approve_digits/runs/x/required_actions"
    assert link in slack_message("May it?", "1 of 2", link)["text"]
    card = teams_card("May it?", "1 of 2", link)["attachments"][0]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert card["content"]["actions"] == [{"type": "Action.OpenUrl", "title": "Answer in Airflow", "url": link}]
    assert addresses_of(["bert", "dora", "mallory"], PEOPLE) == ["bert@example.org"]
