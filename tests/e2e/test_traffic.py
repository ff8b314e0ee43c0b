"""Users who come through the gateway follow a release, and a person back, at once and without a lost request."""

from __future__ import annotations

import http.client
import time

import pytest

from tests.e2e.open_connections import Callers
from tests.e2e.rollout_scene import SERVICE, RolloutScene

pytestmark = pytest.mark.sandbox

FOLLOW_SECONDS = 2.0
"""How soon a kept connection is answered by the release that was switched to."""


def users_of_the_gateway(scene: RolloutScene) -> Callers:
    """Once the gateway knows the service."""
    place, host = f"127.0.0.1:{scene.settings.gateway_port}", scene.traffic_by_gateway["host"]
    deadline = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection(place, timeout=10)
        connection.request("GET", "/version", headers={"Host": host})
        status = connection.getresponse().status
        connection.close()
        if status == 200:
            return Callers(f"http://{place}", ("open", "new"), host)
        assert time.monotonic() < deadline, "the gateway never knew the first release"
        time.sleep(0.1)


def test_users_of_the_gateway_follow_a_release_and_a_person_back(scene: RolloutScene) -> None:
    scene.clear()
    given = {"name": "production", "traffic": scene.traffic_by_gateway}
    first = scene.released(**given)
    with users_of_the_gateway(scene) as users:
        users.await_all(first, 10)
        second = scene.released(**given)
        users.await_all(second, FOLLOW_SECONDS)
        done = scene.nightferry("rollback", SERVICE, "--reason", "x", "--by", "ana")
        assert done.returncode == 0, done.stderr
        users.await_all(first, FOLLOW_SECONDS)
    assert users.failures == []
    assert users.asked > 100
    scene.clear()


def test_a_gateway_comes_and_goes_and_no_request_is_lost(scene: RolloutScene) -> None:
    """Who called the Service goes on, and so does who came through the gateway when the file names none any more."""
    scene.clear()
    scene.released(name="production")
    with Callers(scene.address(), ("new", "open")) as users:
        second = scene.released(name="production", traffic=scene.traffic_by_gateway)
        with users_of_the_gateway(scene) as others:
            others.await_all(second, 10)
            third = scene.released(name="production")
            others.await_all(third, FOLLOW_SECONDS)
        users.await_all(third, 60)
    assert (users.failures, others.failures) == ([], [])
    scene.clear()
