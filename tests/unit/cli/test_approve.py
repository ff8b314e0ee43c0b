"""`nightferry approve`, `decline` and `approvals`: answering with one's own login, and what is said when that fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from nightferry.cli import main
from nightferry.cli.control import approve
from nightferry.clients import connect
from nightferry.clients.airflow.questions import OpenQuestion
from nightferry.entities.approvals.runs import run_of
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.approvals.end_waiting import end_waiting

from tests.fakes.a_release import IMAGE
from tests.fakes.worlds.asking_world import Asking

RELEASE = "digits-2026-11-21.1"
RUN = run_of(RELEASE, "production", IMAGE)


class FakeQuestions:
    """Airflow's open questions, in memory."""

    user = "anna"

    def __init__(self) -> None:
        self.questions = [OpenQuestion("approve_digits", RUN, "answer_1", "May it?", "all of it", ("anna", "bert"))]
        self.answers: list[tuple[str, bool, str]] = []
        self.fault: Permanent | None = None

    def open(self, dag: str = "") -> list[OpenQuestion]:
        return [one for one in self.questions if dag in ("", one.dag)]

    def answer(self, question: OpenQuestion, *, yes: bool, why: str) -> None:
        if self.fault:
            raise self.fault
        self.answers.append((question.run, yes, why))


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> FakeQuestions:
    fake = FakeQuestions()
    monkeypatch.setattr(approve.AirflowApi, "connect", lambda settings: None)
    monkeypatch.setattr(approve, "AirflowQuestions", lambda airflow: fake)
    return fake


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    asking = Asking(tmp_path)
    monkeypatch.setattr(connect, "ledger_store", lambda settings: asking.ledger)
    return asking


Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(("word", "yes"), [("approve", True), ("decline", False)])
def test_the_answer_is_given_with_its_reason(airflow: FakeQuestions, word: str, yes: bool, capsys: Capture) -> None:
    assert main([word, RELEASE, "--reason", "numbers are fine"]) == 0
    assert airflow.answers == [(RUN, yes, "numbers are fine")]
    assert "anna" in capsys.readouterr().out


def test_without_a_reason_nothing_is_answered(airflow: FakeQuestions, capsys: Capture) -> None:
    assert main(["approve", RELEASE, "--reason", "  "]) == 2
    assert main(["approve", RELEASE, "--reason", "x" * 501]) == 2
    assert airflow.answers == []


def test_a_refusal_is_said(airflow: FakeQuestions, capsys: Capture) -> None:
    airflow.fault = Permanent(Reason.NOT_COUNTED, "anna may not answer this.")
    assert main(["approve", RELEASE, "--reason", "x"]) == 2
    assert "anna may not answer this" in capsys.readouterr().err


def declined(asking: Asking) -> str:
    asking.answer(RELEASE, "carl", yes=False, why="sevens are wrong")
    end_waiting(asking.ledger, asking.clock, RELEASE, "production")
    return "sevens are wrong"


def expired(asking: Asking) -> str:
    asking.clock.sleep(4000)
    end_waiting(asking.ledger, asking.clock, RELEASE, "production")
    return "the time for approving it was over"


def superseded(asking: Asking) -> str:
    asking.world.publish("two", created="2026-11-20T12:00:00Z")
    asking.waiting(key="run:two")
    return "is newer and takes its place"


@pytest.mark.parametrize("ends", [declined, expired, superseded])
def test_what_is_not_asked_any_more_says_what_became_of_it(
    airflow: FakeQuestions, asking: Asking, ends: Callable[[Asking], str], capsys: Capture
) -> None:
    assert asking.waiting() == RELEASE
    words = ends(asking)
    airflow.questions = []
    assert main(["approve", RELEASE, "--reason", "x"]) == 2
    said = capsys.readouterr().err
    assert "Nobody is asked about" in said
    assert words in said


@pytest.mark.parametrize("name", ["nonsense", "digits-2026-11-21.7"])
def test_an_unknown_release_is_said(airflow: FakeQuestions, asking: Asking, name: str, capsys: Capture) -> None:
    assert main(["approve", name, "--reason", "x"]) == 2
    assert name in capsys.readouterr().err


def test_two_environments_need_a_name(airflow: FakeQuestions) -> None:
    other = run_of(RELEASE, "staging", IMAGE)
    airflow.questions.append(OpenQuestion("approve_digits", other, "answer_1", "May it?", "", ("anna",)))
    assert main(["approve", RELEASE, "--reason", "x"]) == 2
    assert main(["approve", RELEASE, "--reason", "x", "--environment", "staging"]) == 0
    assert airflow.answers == [(other, True, "x")]


def test_what_waits_is_listed(airflow: FakeQuestions, capsys: Capture) -> None:
    airflow.questions.append(OpenQuestion("other_dag", "r", "t", "A question of another project", "", ()))
    assert main(["approvals", "digits", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["run"], found["can_answer"]) == (RUN, ["anna", "bert"])
    assert main(["approvals"]) == 0
    assert "another project" not in capsys.readouterr().out
    airflow.questions = []
    assert main(["approvals"]) == 0
    assert "Nothing waits" in capsys.readouterr().out
