"""A canary on a real gateway: what is wrong is found at 10 %, taken back, and was met by no more of the users."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from nightferry.entities.fact_key import step_of
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.state import read_state

from tests.e2e.canary_candidates import slowed, without_class
from tests.e2e.rollout_scene import SERVICE, RolloutScene

pytestmark = pytest.mark.sandbox

FORGOTTEN = "3"


class Users:
    """Users of the gateway who ask for digits, and for the release that answers, over kept connections."""

    def __init__(self, scene: RolloutScene) -> None:
        self._port, self._host = scene.settings.gateway_port, scene.traffic_by_gateway["host"]
        self._pictures = [(label, scene.golden_picture(label)) for label in "0123456789"]
        self.answered: Counter[str] = Counter()
        """By which release."""
        self.digits: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        """By the digit that was asked for."""
        self.failed: list[str] = []
        self._over = threading.Event()

    def _ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> Any:
        headers = {"Host": self._host} | ({"Content-Type": "application/json"} if body else {})
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            self.failed.append(f"{path}: {answer.status} {content[:80]!r}")
            return None
        return json.loads(content)

    def _user(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._over.is_set():
            for label, picture in self._pictures:
                body = json.dumps({"input": json.dumps([base64.b64encode(picture).decode()])}).encode()
                try:
                    said = self._ask(connection, "GET", "/version")
                    self.answered[said["release"] if said else ""] += 1
                    said = self._ask(connection, "POST", "/score", body)
                except (OSError, http.client.HTTPException) as fault:
                    self.failed.append(repr(fault))
                    connection.close()
                    continue
                self.digits[label] += 1
                self.wrong[label] += bool(said) and said["result"][0][0][0][0] != label
                if self._over.is_set():
                    break

    @contextmanager
    def asking(self, users: int = 4) -> Iterator[Users]:
        """They ask meanwhile."""
        threads = [threading.Thread(target=self._user) for _ in range(users)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def wait_for(self, release: str) -> None:
        """Until the gateway answers with a release."""
        deadline = time.monotonic() + 60
        while True:
            with_it = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            with_it.request("GET", "/version", headers={"Host": self._host})
            answer = with_it.getresponse()
            if answer.status == 200 and json.loads(answer.read())["release"] == release:
                return
            assert time.monotonic() < deadline, "the gateway never knew it"
            time.sleep(0.1)


def production(scene: RolloutScene, *steps: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {"name": "production", "traffic": scene.traffic_by_gateway}
    return given | ({"strategy": {"kind": "canary", "steps": list(steps)}} if steps else {})


def of_step(scene: RolloutScene, release: str, step: str) -> list[LedgerEntry]:
    return [one for one in release_entries(scene.ledger, release) if step_of(one.key) == f"production.{step}"]


def taken_back(scene: RolloutScene, users: Users, first: str, release: str, reason: Reason) -> None:
    """All are with the release of before; the record says who met the other one."""
    (order,) = of_step(scene, release, "withdrawal")
    print(order.reason, order.sentence, {name: order.data.get(name) for name in ("share", "seconds", "requests")})
    assert order.reason == reason
    assert order.data["share"] == "10%"
    assert order.data["seconds"] > 0
    assert scene.in_use() == first
    assert scene.traffic("production").canary is None
    assert release not in scene.deployments()
    assert [one.data["canary"]["share"] for one in of_step(scene, release, "canary")] == [10]
    met, asked = users.answered[release], users.answered.total()
    print(f"{met} of {asked} requests were answered by {release}; failed: {users.failed[:3]}")
    assert met, "nobody met it"
    assert met / asked < 0.2
    assert users.failed == []


def test_a_candidate_that_is_wrong_for_one_class_is_found_at_ten_percent(scene: RolloutScene) -> None:
    scene.clear()
    first = scene.released(**production(scene))
    model, image = without_class(scene, FORGOTTEN)
    plan = scene.plan(image, model=model, **production(scene, {"share": "10%", "minutes": 0.5}))
    users = Users(scene)
    users.wait_for(first)
    with users.asking():
        deployer = scene.run("roll_out", plan)
        users_after = Counter(users.answered)
        time.sleep(1)
        assert users.answered[plan.release] - users_after[plan.release] <= 1
    assert deployer.wait() != 0, deployer.lines
    taken_back(scene, users, first, plan.release, Reason.VERIFY_GOLDEN_WRONG)
    assert [one.words for one in read_state(scene.ledger, SERVICE).quarantines] == [f"model {model.version}"]
    assert f"class {FORGOTTEN}" in of_step(scene, plan.release, "withdrawal")[0].sentence
    assert set(+users.wrong) <= {FORGOTTEN}
    scene.clear()


def test_a_person_ends_a_canary(scene: RolloutScene) -> None:
    scene.clear()
    first = scene.released(**production(scene))
    plan = scene.plan(**production(scene, {"share": "10%", "minutes": 5}))
    Users(scene).wait_for(first)
    deployer = scene.start("roll_out", plan)
    deployer.until_it_says("of the users until")
    shown = scene.nightferry("history", SERVICE)
    assert "canary at 10 %" in shown.stdout
    done = scene.nightferry("rollback", SERVICE, "--reason", "x", "--by", "ana")
    assert done.returncode == 0, done.stderr
    assert "gets nobody" in done.stdout
    assert deployer.wait(60) == 2, deployer.lines
    assert scene.in_use() == first
    assert scene.traffic("production").canary is None
    assert plan.release not in scene.deployments()
    scene.clear()


@pytest.mark.drill
def test_a_candidate_that_is_slower_by_half_is_found_at_ten_percent(scene: RolloutScene) -> None:
    # Where requests wait for each other, whoever has nine tenths of them is the slower one.
    roomy = {"replicas": 2, "settings": {"SERVING_MODEL_WORKERS": "4"}}
    scene.clear()
    first = scene.plan(slowed(scene, 0.04), **production(scene), **roomy)
    assert scene.run("roll_out", first).wait() == 0
    plan = scene.plan(slowed(scene, 0.06), **production(scene, {"share": "10%", "minutes": 1}), **roomy)
    users = Users(scene)
    users.wait_for(first.release)
    with users.asking(1):
        deployer = scene.run("roll_out", plan)
    assert deployer.wait() != 0, deployer.lines
    taken_back(scene, users, first.release, plan.release, Reason.FIGURES_WRONG)
    scene.clear()
