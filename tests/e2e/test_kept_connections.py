"""Users who keep their connection open follow a release within a minute, and nobody is refused."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from nightferry.manifests import names

from tests.e2e.open_connections import Callers
from tests.e2e.rollout_scene import SERVICE, RolloutScene

pytestmark = pytest.mark.sandbox

RELEASES = 10
WITHIN = 60.0
"""Seconds from the switch until no active user is answered by the release before."""


def eventually(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)


class Control:
    """A pod like those of the release in use, but for the setting: it never ends a connection. Behind a Service of its
    own, which is switched as the deployer switches the real one, while the pod stays."""

    def __init__(self, scene: RolloutScene, release: str) -> None:
        self._scene = scene
        deployment = scene.cluster.get("Deployment", names.object_name(release))
        assert deployment
        spec = deployment["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        never = {"name": "SERVING_MAX_CONNECTION_AGE_MS", "value": "0"}
        labels = {"app": "control"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "control", "labels": labels}}
        spec = {**spec, "containers": [{**container, "env": [*container["env"], never]}]}
        assert scene.cluster.create({**pod, "spec": spec})
        self._point_to(labels)
        eventually(lambda: self.answers_a_new_connection(release))

    @property
    def address(self) -> str:
        """Where it is called; the node reaches the cluster's own addresses."""
        service = self._scene.cluster.get("Service", "control")
        assert service
        return f"http://{service['spec']['clusterIP']}"

    def answers_a_new_connection(self, release: str) -> bool:
        """Whether this release does."""
        try:
            return bool(requests.get(f"{self.address}/version", timeout=5).json()["release"] == release)
        except (requests.RequestException, ValueError):
            return False

    def switch(self, release: str) -> float:
        """Point to a release; when new connections were there."""
        self._point_to(names.selector(SERVICE, release))
        eventually(lambda: self.answers_a_new_connection(release))
        return time.monotonic()

    def _point_to(self, selector: dict[str, str]) -> None:
        ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "control"}}
        self._scene.cluster.apply({**service, "spec": {"selector": selector, "ports": ports}})


def test_every_user_follows_ten_releases(scene: RolloutScene) -> None:
    """And the control: the same user of a pod that never ends a connection is still there when the minute is over.

    Most users leave a release when its pods end, two releases later. Those who come when the ninth is in use have no
    such help: its pods stay warm, and only the age of their connections takes them to the tenth.
    """
    releases = [scene.released()]
    control = Control(scene, releases[0])
    with Callers(scene.address()) as callers, Callers(control.address, ("open",)) as staying:
        eventually(lambda: callers.all_saw(releases[0]) and staying.all_saw(releases[0]))
        releases.append(scene.released())
        switched = control.switch(releases[1])
        releases += [scene.released() for _ in range(RELEASES - 2)]
        with Callers(scene.address(), ("open",) * 3) as last:
            eventually(lambda: last.all_saw(releases[-1]))
            releases.append(scene.released())
            eventually(lambda: callers.all_saw(releases[-1]) and last.all_saw(releases[-1]), WITHIN)
        eventually(lambda: staying.end_of(releases[0]) > switched + WITHIN, WITHIN)
    for users in (callers, last):
        assert users.failures == []
        for before, after in itertools.pairwise(releases):
            assert users.end_of(before) < callers.begin_of(after) + WITHIN
    assert callers.releases_of("new") == releases
    assert last.end_of(releases[-2]) > callers.begin_of(releases[-1]) + 1, "nobody was left behind by the last switch"
    assert (staying.failures, staying.releases_of("open")) == ([], releases[:1])
