"""The webhooks' endpoints, asked as senders and strangers ask them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from nightferry.entities.watching.push import Push
from nightferry.steps.watching.repositories import repositories
from nightferry.web.hooks import app
from nightferry.web.hooks.app import MOST_BYTES, Hooks, hooks_app
from nightferry.web.hooks.bounds import AT_ONCE, REFUSED_A_MINUTE, Bounds
from nightferry.web.hooks.known import Known
from nightferry.web.hooks.refusal import Refusal
from nightferry.web.hooks.secrets import Secrets
from nightferry.web.hooks.wake import run_id
from starlette.requests import Request
from starlette.testclient import TestClient

from tests.fakes.service_specs import digits_spec

SECRET = "a secret of the tests"
NOW = 1_800_000_000
COMMIT, OLDER = "a" * 40, "b" * 40


class _Known(Known):
    def _all(self) -> Any:
        source = {"repository": "https://github.com/team/app.git"}
        services = [
            digits_spec(source=source, triggers={"commit": "release"}),
            digits_spec(
                service="azure",
                source={"repository": "https://dev.azure.com/org/p/_git/app"},
                triggers={"commit": "build"},
            ),
            digits_spec(
                service="lab", source={"repository": "git@gitlab.example:team/app.git"}, triggers={"commit": "build"}
            ),
        ]
        found = repositories(services)
        import dataclasses

        mlflow = dataclasses.replace(found[0], event="model", identity="mlflow://churn@champion")
        return [*found, mlflow]


class Endpoint:
    def __init__(self) -> None:
        self.woken: list[Push] = []
        self.secrets = dict.fromkeys(("github", "azure", "gitlab", "mlflow"), SECRET)
        self.fault: Exception | None = None
        self.time = 0.0
        hooks = Hooks(
            Secrets(lambda name: self.secrets.get(name, "")),
            _Known(),
            self._wake,
            lambda: NOW,
            Bounds(lambda: self.time),
        )
        self.client = TestClient(hooks_app(hooks))

    def _wake(self, push: Push) -> bool:
        if self.fault:
            raise self.fault
        self.woken.append(push)
        return True

    def post(self, path: str, body: Any, headers: dict[str, str]) -> int:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return int(self.client.post(path, content=content, headers=headers).status_code)

    def github(self, body: Any, *, secret: str = SECRET, delivery: str = "d-1", event: str = "push") -> int:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Delivery": delivery, "X-GitHub-Event": event}
        return self.post("/github", content, headers)

    def timed(self, path: str, body: Any, names: tuple[str, str, str], *, at: int = NOW, key: bytes = b"") -> int:
        content, delivery = json.dumps(body).encode(), "m-1"
        digest = hmac.new(key or SECRET.encode(), f"{delivery}.{at}.".encode() + content, hashlib.sha256).digest()
        values = (delivery, str(at), "v1,bad v1," + base64.b64encode(digest).decode())
        return self.post(path, content, dict(zip(names, values, strict=True)))


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


def a_push(**changes: Any) -> dict[str, Any]:
    return {
        "ref": "refs/heads/main",
        "after": COMMIT,
        "repository": {"clone_url": "https://GitHub.com/team/app.git", "ssh_url": "git@github.com:team/app.git"},
        "pusher": {"name": "ana"},
        "commits": [{"id": OLDER}, {"id": COMMIT}],
    } | changes


MLFLOW = ("X-MLflow-Delivery-Id", "X-MLflow-Timestamp", "X-MLflow-Signature")
GITLAB = ("webhook-id", "webhook-timestamp", "webhook-signature")
A_VERSION = {"entity": "model_version", "action": "created", "data": {"name": "churn", "version": "3"}}
AZURE = {
    "id": "z-1",
    "eventType": "git.push",
    "resource": {
        "repository": {"remoteUrl": "https://org@dev.azure.com/org/p/_git/app"},
        "pushedBy": {"displayName": "Ana"},
        "refUpdates": [{"newObjectId": COMMIT}],
        "commits": [{"commitId": COMMIT}, {"commitId": OLDER}],
    },
}
LAB = {
    "object_kind": "push",
    "after": COMMIT,
    "user_username": "ana",
    "project": {"git_ssh_url": "ssh://git@gitlab.example/team/app.git"},
    "commits": [{"id": OLDER}],
}


def test_githubs_push_wakes_a_look_at_its_repository_and_names_who(endpoint: Endpoint) -> None:
    assert endpoint.github(a_push()) == 202
    (push,) = endpoint.woken
    assert push.repositories == ("https://github.com/team/app",)
    assert (push.provider, push.delivery, push.by) == ("github", "d-1", "ana")
    assert (push.commit, push.passed_over) == (COMMIT, (OLDER,))


def test_azures_push(endpoint: Endpoint) -> None:
    for login in (f"any:{SECRET}", f":{SECRET}"):
        words = base64.b64encode(login.encode()).decode()
        AZURE["resource"]["pushedBy"] = {"displayName": login[:3]}  # type: ignore[index]
        assert endpoint.post("/azure", AZURE, {"Authorization": f"Basic {words}"}) == 202
    assert endpoint.post("/azure", AZURE | {"id": "z-2"}, {"X-Nightferry-Secret": SECRET}) == 202
    assert [push.repositories for push in endpoint.woken] == [("https://dev.azure.com/org/p/_git/app",)] * 3
    assert (endpoint.woken[0].commit, endpoint.woken[0].passed_over) == (COMMIT, (OLDER,))


def test_azures_user_counts_where_the_secret_has_one(endpoint: Endpoint) -> None:
    endpoint.secrets["azure"] = f"eva:{SECRET}"
    good, bad = (base64.b64encode(f"{user}:{SECRET}".encode()).decode() for user in ("eva", "ana"))
    assert endpoint.post("/azure", AZURE, {"Authorization": f"Basic {bad}"}) == 401
    assert endpoint.post("/azure", AZURE, {"Authorization": f"Basic {good}"}) == 202


def test_gitlabs_push_by_its_token_and_by_its_signature(endpoint: Endpoint) -> None:
    assert endpoint.post("/gitlab", LAB, {"X-Gitlab-Token": SECRET, "X-Gitlab-Event-UUID": "u-1"}) == 202
    endpoint.secrets["gitlab"] = "whsec_" + base64.b64encode(b"the key").decode()
    other = Endpoint()
    other.secrets["gitlab"] = endpoint.secrets["gitlab"]
    assert other.timed("/gitlab", LAB, GITLAB, key=b"the key") == 202
    assert other.timed("/gitlab", LAB, GITLAB, key=b"another") == 401
    assert endpoint.woken[0].repositories == other.woken[0].repositories
    assert other.woken[0].delivery == "m-1"


def test_mlflows_version_wakes_the_services_of_its_name(endpoint: Endpoint) -> None:
    assert endpoint.timed("/mlflow", A_VERSION, MLFLOW) == 202
    assert endpoint.woken[0].repositories == ("mlflow://churn@champion",)
    assert endpoint.timed("/mlflow", A_VERSION | {"data": {"name": "other"}}, MLFLOW) == 204


@pytest.mark.parametrize("at", [NOW - 301, NOW + 301])
def test_an_old_time_is_refused(endpoint: Endpoint, at: int) -> None:
    assert endpoint.timed("/mlflow", A_VERSION, MLFLOW, at=at) == 401
    assert endpoint.timed("/gitlab", LAB, GITLAB, at=at) == 401
    assert endpoint.woken == []


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/github", {}),
        ("/github", {"X-Hub-Signature-256": "sha256="}),
        ("/github", {"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        ("/azure", {"Authorization": "Basic !!!"}),
        ("/azure", {"Authorization": "Bearer x"}),
        ("/azure", {"X-Nightferry-Secret": ""}),
        ("/gitlab", {"X-Gitlab-Token": "x"}),
        ("/gitlab", {"X-Gitlab-Token": SECRET, "webhook-signature": "v1,x"}),
        ("/mlflow", {"X-MLflow-Signature": "v1,x", "X-MLflow-Timestamp": "now", "X-MLflow-Delivery-Id": "1"}),
    ],
)
def test_without_proof_nothing_is_woken_and_nothing_is_said(
    endpoint: Endpoint, path: str, headers: dict[str, str]
) -> None:
    answer = endpoint.client.post(path, content=json.dumps(a_push()), headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")
    assert endpoint.woken == []


def test_a_changed_body_is_refused(endpoint: Endpoint) -> None:
    signed = json.dumps(a_push()).encode()
    signature = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": "push"}
    assert endpoint.post("/github", signed + b" ", headers) == 401


def test_without_a_secret_there_is_no_endpoint_and_nothing_else_is_there(endpoint: Endpoint) -> None:
    endpoint.secrets.clear()
    assert endpoint.github(a_push(), secret="") == 404
    for path in ("/", "/docs", "/openapi.json", "/github/x", "/bitbucket"):
        assert endpoint.client.post(path).status_code == 404
        assert endpoint.client.get(path).status_code == 404
    assert endpoint.client.get("/github").status_code == 405


def test_a_long_body_is_not_read_to_its_end_whatever_it_says_of_its_length(endpoint: Endpoint) -> None:
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(50):
            sent += 100_000
            yield b"x" * 100_000

    headers = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
    assert endpoint.client.post("/github", content=pieces(), headers=headers).status_code == 413
    assert endpoint.github(b"x" * (MOST_BYTES + 1)) == 413
    assert endpoint.post("/github", b"{}", headers | {"Content-Length": "-1"}) in (400, 413)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"[" * 50_000, b"\xff", b'{"repository": []}', b'{"after": 3}'])
def test_signed_nonsense_wakes_nothing(endpoint: Endpoint, body: bytes) -> None:
    assert endpoint.github(body) in (204, 400)
    assert endpoint.woken == []


def test_what_is_no_push_or_about_another_repository_wakes_nothing(endpoint: Endpoint) -> None:
    assert endpoint.github(a_push(), event="issues") == 204
    assert endpoint.github(a_push(repository={"clone_url": "https://github.com/other/app.git"})) == 204
    assert endpoint.woken == []


def test_a_replay_under_another_delivery_id_wakes_nothing(endpoint: Endpoint) -> None:
    assert [endpoint.github(a_push(), delivery=f"d-{number}") for number in range(5)] == [202] * 5
    assert len(endpoint.woken) == 1
    endpoint.time += 301
    assert endpoint.github(a_push(), delivery="d-1") == 202
    assert run_id(endpoint.woken[0]) != run_id(endpoint.woken[0].model_copy(update={"delivery": "d-2"}))


def test_what_could_not_be_started_may_come_again(endpoint: Endpoint) -> None:
    endpoint.fault = OSError("no database")
    assert endpoint.github(a_push()) == 503
    endpoint.fault = None
    assert endpoint.github(a_push()) == 202
    assert len(endpoint.woken) == 1


def test_a_flood_of_bad_signatures_is_not_even_read_and_ends_after_a_minute(endpoint: Endpoint) -> None:
    answers = [endpoint.github(a_push(), secret="bad") for _ in range(REFUSED_A_MINUTE + 5)]
    assert answers.count(401) == REFUSED_A_MINUTE
    assert answers[-5:] == [429] * 5
    endpoint.time += 61
    assert endpoint.github(a_push()) == 202


def test_delivery_ids_that_airflow_could_not_name_a_run_by(endpoint: Endpoint) -> None:
    push = Push(repositories=("x",), provider="github")
    names = {run_id(push.model_copy(update={"delivery": one})) for one in ("a/../b", "a_.._b", "x" * 500, "d 1", "d-1")}
    assert len(names) == 5
    assert all(len(name) < 100 and "/" not in name for name in names)


def test_a_sender_that_is_slow_holds_up_no_other(endpoint: Endpoint) -> None:
    began, over = threading.Event(), threading.Event()

    def slowly(push: Push) -> bool:
        began.set()
        over.wait(10)
        return True

    hooks = Hooks(Secrets(lambda name: SECRET), _Known(), slowly, lambda: NOW)
    with TestClient(hooks_app(hooks)) as client:
        endpoint.client = client
        first = threading.Thread(target=endpoint.github, args=(a_push(),))
        first.start()
        assert began.wait(10)
        asked = time.monotonic()
        assert endpoint.github(a_push(), secret="bad") == 401
        assert time.monotonic() - asked < 5
        over.set()
        first.join(10)


def test_bodies_that_drip_from_one_address_leave_room_and_are_no_longer_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "READ_SECONDS", 0.05)
    hooks = Hooks(Secrets(lambda name: SECRET), _Known(), lambda push: True, lambda: NOW, Bounds(lambda: 0.0))

    async def never() -> Any:
        await asyncio.sleep(60)

    async def answer(address: str) -> int:
        headers = [(b"x-hub-signature-256", b"sha256=0")]
        scope = {"type": "http", "method": "POST", "headers": headers, "client": (address, 1)}
        try:
            return await hooks.receive("github", Request(scope, never))
        except Refusal as refusal:
            return refusal.status

    async def flood() -> list[list[int]]:
        together = [*["192.0.2.1"] * 2 * AT_ONCE, "192.0.2.2"]
        return [list(await asyncio.gather(*map(answer, together))) for _ in range(3)]

    answers = asyncio.run(flood())
    assert [some[-1] for some in answers] == [408] * 3
    assert 0 < answers[0].count(408) < AT_ONCE
    assert set(answers[2][:-1]) == {429}


def test_words_that_no_database_takes_wake_a_look_all_the_same(endpoint: Endpoint) -> None:
    assert endpoint.github(a_push(pusher={"name": "ana \ud800\0"})) == 202
    assert endpoint.post("/azure", AZURE | {"id": "z-\ud800\0"}, {"X-Nightferry-Secret": SECRET}) == 202
    assert [push.by[:3] for push in endpoint.woken][:1] == ["ana"]
    assert all(run_id(push) and json.dumps(push.to_json()).isascii() for push in endpoint.woken)
    assert not any("\\u0000" in json.dumps(push.to_json()) for push in endpoint.woken)


def test_who_goes_away_in_the_middle_counts_as_one_who_was_refused() -> None:
    """Not as a fault of ours, which would fill the log."""
    hooks = Hooks(Secrets(lambda name: SECRET), _Known(), lambda push: True, lambda: NOW, Bounds(lambda: 0.0))

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def answer() -> int:
        scope = {"type": "http", "method": "POST", "headers": [(b"x-hub-signature-256", b"x")], "client": ("a", 1)}
        try:
            return await hooks.receive("github", Request(scope, gone))
        except Refusal as refusal:
            return refusal.status

    answers = [asyncio.run(answer()) for _ in range(REFUSED_A_MINUTE + 1)]
    assert set(answers[:-1]) == {400}
    assert answers[-1] == 429
