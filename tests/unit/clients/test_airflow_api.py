"""Airflow's REST API, as a server on loopback speaks it (answers as recorded from Airflow 3.3)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from nightferry.clients.airflow.api import AirflowApi, Run
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.settings import Settings

PASSWORD = "open sesame"


class Server(ThreadingHTTPServer):
    """Answers by (method, path) from `answers`; hands out tokens that `expire()` makes worthless."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[tuple[str, str], tuple[int, object]] = {}
        self.bodies: list[object] = []
        self.tokens = 0
        self.refuse_login = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def expire(self) -> None:
        self.tokens += 1


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def _answer(self, method: str) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        if self.path == "/auth/token":
            wrong = self.server.refuse_login or body["password"] != PASSWORD
            return self._send(*((401, {}) if wrong else (201, {"access_token": f"token-{self.server.tokens}"})))
        if self.headers.get("Authorization") != f"Bearer token-{self.server.tokens}":
            return self._send(401, {"detail": "Invalid JWT token"})
        self.server.bodies.append(body)
        return self._send(*self.server.answers.get((method, self.path), (404, {"detail": "not found"})))

    def _send(self, status: int, document: object) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def airflow(server: Server) -> AirflowApi:
    return AirflowApi(server.url, "admin", PASSWORD)


RUNS = ("POST", "/api/v2/dags/release_digits/dagRuns")


def test_it_starts_a_run_without_a_logical_date(server, airflow):
    server.answers[RUNS] = (200, {})

    assert airflow.trigger("release_digits", "request-1", {"model": "v2"})
    (sent,) = server.bodies
    assert (sent["dag_run_id"], sent["logical_date"], sent["conf"]) == ("request-1", None, {"model": "v2"})


def test_a_run_that_is_there_already_is_not_a_failure(server, airflow):
    server.answers[RUNS] = (409, {"detail": "exists"})

    assert not airflow.trigger("release_digits", "request-1", {})


def test_parameters_that_the_dag_refuses_are_a_bad_request(server, airflow):
    server.answers[RUNS] = (400, {"detail": "Invalid input for param model"})

    with pytest.raises(Permanent) as refused:
        airflow.trigger("release_digits", "request-1", {"model": "?"})
    assert refused.value.reason == Reason.REQUEST_INVALID
    assert "Invalid input for param model" in refused.value.sentence


def test_a_dag_that_is_not_there_may_come(airflow):
    assert airflow.paused("release_digits") is None
    with pytest.raises(Temporary):
        airflow.trigger("release_digits", "request-1", {})


def test_a_paused_dag_says_so(server, airflow):
    server.answers["GET", "/api/v2/dags/release_digits"] = (200, {"is_paused": True, "is_stale": False})

    assert airflow.paused("release_digits") is True


def test_a_token_that_ran_out_is_replaced(server, airflow):
    server.answers["GET", "/api/v2/dags/d/dagRuns/r"] = (200, {"state": "running"})
    airflow.run("d", "r")
    server.expire()

    assert airflow.run("d", "r") == Run("r", "running")


def test_the_ids_of_scheduled_runs_reach_it_whole(server, airflow):
    server.answers["GET", "/api/v2/dags/d/dagRuns/scheduled__2026-11-21T01%3A00%3A00%2B00%3A00"] = (
        200,
        {"state": "success"},
    )

    found = airflow.run("d", "scheduled__2026-11-21T01:00:00+00:00")
    assert found is not None
    assert found.ended


def test_tasks_have_their_state_and_seconds(server, airflow):
    instances = [
        {"task_id": "decide", "state": "success", "duration": 1.5, "try_number": 1},
        {"task_id": "fetch_model", "state": None, "duration": None, "start_date": None, "try_number": 0},
    ]
    server.answers["GET", "/api/v2/dags/d/dagRuns/r/taskInstances?limit=100"] = (200, {"task_instances": instances})

    decide, fetch = airflow.tasks("d", "r")
    assert (decide.task, decide.state, decide.seconds, decide.tries) == ("decide", "success", 1.5, 1)
    assert (fetch.state, fetch.seconds) == (None, None)


def test_a_wrong_password_is_refused_and_not_shown(server):
    with pytest.raises(Permanent) as refused:
        AirflowApi(server.url, "admin", "guess").paused("d")
    assert refused.value.reason == Reason.AIRFLOW_DENIED
    assert "guess" not in refused.value.sentence


def test_a_user_without_the_right_is_refused(server, airflow):
    server.answers[RUNS] = (403, {"detail": "Forbidden"})

    with pytest.raises(Permanent) as refused:
        airflow.trigger("release_digits", "request-1", {})
    assert refused.value.reason == Reason.AIRFLOW_DENIED


POOL = "/api/v2/pools/nightferry_deployers"


def test_a_pool_that_is_missing_is_made(server, airflow):
    server.answers["POST", "/api/v2/pools"] = (201, {})

    airflow.set_pool("nightferry_deployers", 4)
    assert (server.bodies[-1]["name"], server.bodies[-1]["slots"]) == ("nightferry_deployers", 4)


def test_a_pool_of_another_size_is_changed_and_an_equal_one_left_alone(server, airflow):
    server.answers["GET", POOL] = (200, {"slots": 4})
    server.answers["PATCH", POOL] = (200, {})

    airflow.set_pool("nightferry_deployers", 4)
    assert server.bodies == [None]
    airflow.set_pool("nightferry_deployers", 8)
    assert (server.bodies[-1]["pool"], server.bodies[-1]["slots"]) == ("nightferry_deployers", 8)


def test_a_server_error_is_worth_another_try(server, airflow):
    server.answers["GET", "/api/v2/dags/d/dagRuns/r"] = (500, {"detail": "database is locked"})

    with pytest.raises(Temporary) as failed:
        airflow.run("d", "r")
    assert failed.value.reason == Reason.AIRFLOW_UNAVAILABLE


def test_nobody_there_is_worth_another_try(server):
    server.shutdown()
    server.server_close()

    with pytest.raises(Temporary) as failed:
        AirflowApi(server.url, "admin", PASSWORD).run("d", "r")
    assert failed.value.reason == Reason.AIRFLOW_UNAVAILABLE


def test_connecting_reads_the_password_and_touches_no_network(tmp_path: Path):
    file = tmp_path / "password"
    given = {
        "NIGHTFERRY_AIRFLOW_URL": "http://127.0.0.1:1",
        "NIGHTFERRY_AIRFLOW_USER": "admin",
        "NIGHTFERRY_AIRFLOW_PASSWORD_FILE": str(file),
    }
    settings = Settings(root=tmp_path, home=tmp_path, environment=given)
    with pytest.raises(Permanent) as missing:
        AirflowApi.connect(settings)
    assert missing.value.reason == Reason.AIRFLOW_DENIED

    file.write_text("secret\n", encoding="utf-8")
    assert AirflowApi.connect(settings).address == "http://127.0.0.1:1"


def test_a_token_of_a_file_is_used_instead_of_a_password_and_read_anew_when_it_ran_out(server, tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("token-0\n")
    given = {"NIGHTFERRY_AIRFLOW_URL": server.url, "NIGHTFERRY_AIRFLOW_TOKEN_FILE": str(file)}
    airflow = AirflowApi.connect(Settings(root=tmp_path, home=tmp_path, environment=given))
    server.refuse_login = True
    server.answers["GET", "/api/v2/dags/d/dagRuns/r"] = (200, {"state": "running"})
    assert airflow.run("d", "r") == Run("r", "running")
    server.expire()
    with pytest.raises(Permanent) as refused:
        airflow.run("d", "r")
    assert refused.value.reason == Reason.AIRFLOW_DENIED
    assert str(file) in refused.value.sentence
    assert "token-0" not in refused.value.sentence

    file.write_text("token-1\n")
    assert airflow.run("d", "r") == Run("r", "running")


@pytest.mark.parametrize("content", [b"", b"two words", b"a\nb", "tökén".encode(), b"\xff"])
def test_a_file_that_holds_no_token_is_refused_and_not_repeated(server, tmp_path: Path, content: bytes):
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(Permanent) as refused:
        AirflowApi(server.url, "", "", file).paused("d")
    assert refused.value.reason == Reason.AIRFLOW_DENIED
    assert str(file) in refused.value.sentence
    assert "two words" not in refused.value.sentence
