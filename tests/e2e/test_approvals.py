"""Two of three people say yes in the sandbox's Airflow, over REST and by the command; and the ways around it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.entities.approvals.runs import dag_of, run_of
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.entities.state.waiting import Waiting
from nightferry.sandbox import secrets_files
from nightferry.steps.model.publish_model import publish_model
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.state import read_state

from tests.browser.webdriver import Browser, missing, packaged
from tests.e2e.given_when_then import eventually
from tests.e2e.stage import Stage

pytestmark = pytest.mark.sandbox
SERVICE = "e2e-approvals"
ASKED = "approvals: {needed: 2, from: [sandbox-approvers], within: 2h}"
ANSWER = {"chosen_options": ["Approve"], "params_input": {"reason": "over REST"}}


NAME, PASSWORD, YES = 'input[name="username"]', 'input[name="password"]', '[data-testid="hitl-option-Approve"]'


def _shown(browser: Browser) -> str:
    """What the page says, once it asks."""
    asks = browser.run(f"return !!document.querySelector('{YES}')")
    return str(browser.run("return document.body.innerText")) if asks else ""


class Office:
    """A service whose releases wait for two of anna, bert and carl, and their logins."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def as_user(self, user: str) -> dict[str, str]:
        """The environment of a user's own command."""
        file = self.stage.layout.secrets / secrets_files.password_file(user)
        return os.environ | {"NIGHTFERRY_AIRFLOW_USER": user, "NIGHTFERRY_AIRFLOW_PASSWORD_FILE": str(file)}

    def command(self, user: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`nightferry …` as that user."""
        return subprocess.run(
            [sys.executable, "-m", "nightferry", *words],
            capture_output=True,
            text=True,
            timeout=540,
            check=False,
            env=self.as_user(user),
        )

    def rest(self, user: str, method: str, path: str, body: Any = None) -> requests.Response:
        """A request to Airflow's API as that user."""
        address = self.stage.airflow.address
        account = {
            "username": user,
            "password": secrets_files.read(self.stage.layout, secrets_files.password_file(user)),
        }
        with requests.Session() as session:
            session.trust_env = False
            token = session.post(f"{address}/auth/token", json=account, timeout=30).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            return session.request(method, f"{address}/api/v2{path}", json=body, headers=headers, timeout=30)

    def ask(self, requester: str = "user") -> Waiting:
        """Release as that user; what then waits."""
        done = self.command(requester, "release", SERVICE, "--force", "--wait", "--reason", "for the tests")
        waiting = read_state(self.stage.ledger, SERVICE).waiting
        assert waiting is not None, done.stdout + done.stderr
        assert waiting.reason == Reason.AWAITS_APPROVAL
        eventually(lambda: self.open(waiting), 120, "the question is asked")
        return waiting

    def run(self, waiting: Waiting) -> str:
        return run_of(waiting.release, waiting.environment, waiting.image)

    def tasks(self, waiting: Waiting) -> dict[str, str | None]:
        return {one.task: one.state for one in self.stage.airflow.tasks(dag_of(SERVICE), self.run(waiting))}

    def open(self, waiting: Waiting) -> str:
        """The task that waits for an answer."""
        return next((name for name, state in self.tasks(waiting).items() if state == "awaiting_input"), "")

    def path(self, waiting: Waiting, task: str) -> str:
        return f"/dags/{dag_of(SERVICE)}/dagRuns/{quote(self.run(waiting), safe='')}/taskInstances/{task}"

    def answer(self, user: str, waiting: Waiting, option: str = "Approve") -> int:
        """Answer over REST; the status."""
        body = ANSWER | {"chosen_options": [option]}
        return self.rest(user, "PATCH", f"{self.path(waiting, self.open(waiting))}/-1/hitlDetails", body).status_code

    def approve_on_the_page(self, user: str, waiting: Waiting) -> None:
        """Answer in a browser, where Airflow shows what is asked."""
        browser, address = Browser(1300, 1000), self.stage.airflow.address
        task = self.open(waiting)
        try:
            browser.open(
                f"{address}/dags/{dag_of(SERVICE)}/runs/{quote(self.run(waiting))}/tasks/{task}/required_actions"
            )
            browser.wait(lambda: browser.run(f"return !!document.querySelector('{NAME}')"), "Airflow asks who it is")
            browser.keys(NAME, user)
            browser.keys(PASSWORD, secrets_files.read(self.stage.layout, secrets_files.password_file(user)))
            browser.click('button[type="submit"]')
            browser.wait(lambda: browser.run(f"return !document.querySelector('{NAME}')"), "it is logged in")
            browser.open(
                f"{address}/dags/{dag_of(SERVICE)}/runs/{quote(self.run(waiting))}/tasks/{task}/required_actions"
            )
            shown = browser.wait(lambda: _shown(browser), "the question")
            assert waiting.image in shown, "the image's digest is not shown"
            assert f"May {waiting.release} come into production? (1 of 2 said yes)" in shown
            browser.keys("#element_reason", "seen in the browser")
            browser.wait(lambda: browser.run(f"return !document.querySelector('{YES}').disabled"), "it can be answered")
            browser.click(YES)
            eventually(lambda: (user, True) in self.counted(waiting), 60, "the answer is on the record")
        finally:
            browser.close()

    def ended(self, waiting: Waiting) -> str:
        """How the release ended; empty while it has not."""
        told = [one for one in release_entries(self.stage.ledger, waiting.release) if one.kind == Kind.RELEASE]
        return told[-1].reason if told else ""

    def counted(self, waiting: Waiting) -> list[tuple[str, bool]]:
        """Who answered, and whether it counts."""
        entries = release_entries(self.stage.ledger, waiting.release)
        return [(one.actor, bool(one.data["counts"])) for one in entries if one.kind == Kind.APPROVAL]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    stage = Stage(tmp_path_factory.mktemp("approvals"), SERVICE)
    try:
        stage.begin()
        text = stage.service_file.read_text(encoding="utf-8")
        text = text.replace("namespace: production,", f"namespace: production, {ASKED},")
        stage.service_file.write_text(text, encoding="utf-8")
        publish_model(stage.train("linear"), SERVICE, connect.models(stage.settings, stage.spec.model), SystemClock())
        for dag in (stage.dag, dag_of(SERVICE)):
            eventually(lambda dag=dag: stage.airflow.paused(dag) is False, 180, f"{dag} is there")
        yield Office(stage)
    finally:
        stage.remove()


@pytest.mark.skipif(bool(missing()) and not packaged(), reason=missing())
def test_two_people_approve_and_it_is_released(office: Office) -> None:
    waiting = office.ask()
    listed = office.command("viewer", "approvals", SERVICE)
    assert office.run(waiting) in listed.stdout

    assert office.command("anna", "approve", waiting.release, "--reason", "seen").returncode == 0
    eventually(lambda: office.open(waiting) == "answer_2", 120, "the second is asked")
    refused = office.command("anna", "approve", waiting.release, "--reason", "again")
    assert (refused.returncode, "may not answer" in refused.stderr) == (2, True)
    office.approve_on_the_page("bert", waiting)

    eventually(lambda: office.ended(waiting) == Reason.RELEASED, 300, "it is released")
    assert office.counted(waiting) == [("anna", True), ("bert", True)]
    late = office.command("carl", "decline", waiting.release, "--reason", "too late")
    assert (late.returncode, "Nobody is asked" in late.stderr) == (2, True)


def test_the_ways_around_it(office: Office) -> None:
    waiting = office.ask(requester="anna")
    for outsider in ("anna", "admin", "op", "user"):  # who asked, an admin, and logins that programs use
        assert office.answer(outsider, waiting) == 403
    by_hand = {"dag_run_id": "by-hand", "logical_date": None}
    conf = {"release": waiting.release, "environment": waiting.environment}
    assert office.rest("op", "POST", f"/dags/{dag_of(SERVICE)}/dagRuns", by_hand | {"conf": conf}).status_code == 200
    eventually(
        lambda: getattr(office.stage.airflow.run(dag_of(SERVICE), "by-hand"), "state", "") == "failed",
        120,
        "a run that somebody started asks nobody",
    )
    assert office.answer("bert", waiting) == 200
    eventually(lambda: office.open(waiting) == "answer_2", 120, "the second is asked")
    assert office.answer("bert", waiting) == 403
    cleared = {"dry_run": False, "task_ids": ["answer_1"], "dag_run_id": office.run(waiting), "only_failed": False}
    assert office.rest("op", "POST", f"/dags/{dag_of(SERVICE)}/clearTaskInstances", cleared).status_code == 200
    # Airflow keeps the list of those whom a question was asked of first; the record knows who has answered.
    eventually(lambda: office.tasks(waiting)["answer_1"] == "awaiting_input", 120, "a cleared question is asked again")
    office.rest("bert", "PATCH", f"{office.path(waiting, 'answer_1')}/-1/hitlDetails", ANSWER)
    eventually(
        lambda: ("bert", False) in office.counted(waiting), 120, "an answer that does not count is on the record"
    )

    def marked() -> bool:
        """Mark every question as done that is asked; a marked one lets Airflow ask the next."""
        if task := office.open(waiting):
            office.rest("op", "PATCH", office.path(waiting, task), {"new_state": "success"})
        return office.ended(waiting) == Reason.NOT_APPROVED

    eventually(marked, 300, "what was marked is no yes")
    assert read_state(office.stage.ledger, SERVICE).traffic["production"].release != waiting.release


def test_a_no_is_final(office: Office) -> None:
    stage = office.stage
    publish_model(stage.train("linear"), SERVICE, connect.models(stage.settings, stage.spec.model), SystemClock())
    waiting = office.ask()
    assert office.command("carl", "decline", waiting.release, "--reason", "sevens are wrong").returncode == 0
    eventually(lambda: office.ended(waiting) == Reason.DECLINED, 180, "it is closed")
    late = office.command("bert", "approve", waiting.release, "--reason", "but I like it")
    assert (late.returncode, "declined" in late.stderr) == (2, True)
    night = office.command("user", "release", SERVICE, "--wait")
    assert "declined" in night.stdout, "the same image was asked about again"
