"""Users who come through the gateway follow a release, and a person back, at once and without a lost request."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.rollout_scene import SERVICE, RolloutScene

pytestmark = pytest.mark.sandbox

FOLLOW_SECONDS = 2.0
"""How soon a kept connection is answered by the release that was switched to."""


class Callers:
    """One user with a connection that is kept, and one with a new connection each time, through the gateway."""

    def __init__(self, scene: RolloutScene) -> None:
        self._port = scene.settings.gateway_port
        self._host = scene.traffic_by_gateway["host"]
        self.wrong: list[str] = []
        self.answers = 0
        self.newest = {"kept": "", "new": ""}
        """Which release answered last."""
        self._over = threading.Event()

    def ask(self, connection: http.client.HTTPConnection) -> tuple[int, bytes]:
        """One request."""
        connection.request("GET", "/version", headers={"Host": self._host})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def call(self, kind: str) -> None:
        """Ask until it is over."""
        kept = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._over.is_set():
            try:
                one = kept if kind == "kept" else http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
                status, body = self.ask(one)
                if kind != "kept":
                    one.close()
            except (OSError, http.client.HTTPException) as fault:
                self.wrong.append(f"{kind}: {fault!r}")
                kept.close()
                continue
            self.answers += 1
            if status != 200:
                self.wrong.append(f"{kind}: {status} {body[:80]!r}")
            else:
                self.newest[kind] = body.partition(b'"release":')[2].split(b'"')[1].decode()
            time.sleep(0.01)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Both call meanwhile."""
        threads = [threading.Thread(target=self.call, args=(kind,)) for kind in self.newest]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def await_all(self, release: str, seconds: float) -> None:
        """Both are answered by the release in time."""
        deadline = time.monotonic() + seconds
        while set(self.newest.values()) != {release}:
            assert time.monotonic() < deadline, self.newest
            time.sleep(0.02)


def test_users_of_the_gateway_follow_a_release_and_a_person_back(scene: RolloutScene) -> None:
    scene.clear()
    given = {"name": "production", "traffic": scene.traffic_by_gateway}
    first = scene.released(**given)
    callers = Callers(scene)
    deadline = time.monotonic() + 30
    while callers.ask(http.client.HTTPConnection("127.0.0.1", scene.settings.gateway_port, timeout=10))[0] != 200:
        assert time.monotonic() < deadline, "the gateway never knew the first release"
        time.sleep(0.1)
    with callers.calling():
        callers.await_all(first, 10)
        second = scene.released(**given)
        callers.await_all(second, FOLLOW_SECONDS)
        done = scene.nightferry("rollback", SERVICE, "--reason", "x", "--by", "ana")
        assert done.returncode == 0, done.stderr
        callers.await_all(first, FOLLOW_SECONDS)
    assert callers.wrong == []
    assert callers.answers > 100
    scene.clear()
