"""A cluster whose API server is away for a moment, and one that stays away."""

from __future__ import annotations

import pytest
from nightferry.clients.doors.cluster import ClusterAway, ClusterConflict, Manifest, QuotaExceeded
from nightferry.clients.patient_cluster import PATIENCE_SECONDS, PatientCluster
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.still_clock import StillClock

AWAY = ClusterAway(Reason.CLUSTER_UNAVAILABLE, "failed calling webhook: context deadline exceeded")
CONFLICT = ClusterConflict(Reason.CLUSTER_UNAVAILABLE, "cannot be fulfilled on resourcequotas: try again")


def service() -> Manifest:
    return {"kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {}, "ports": []}}


class Scene:
    """A cluster that fails as told: for a number of calls, or for good."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.memory = MemoryCluster(self.clock)
        self.cluster = PatientCluster(self.memory, self.clock)
        self.calls = 0

    def fails(self, fault: NightferryError, times: int = 10_000) -> None:
        self.calls = 0

        def tick(*_: object) -> None:
            self.calls += 1
            if self.calls <= times:
                raise fault

        self.memory.before = tick


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_moment_is_waited_for(scene: Scene) -> None:
    scene.fails(AWAY, times=3)
    assert scene.cluster.apply(service())["metadata"]["name"] == "web"
    assert 0 < scene.clock.slept < PATIENCE_SECONDS


def test_the_server_is_left_alone_as_long_as_it_asks(scene: Scene) -> None:
    scene.fails(ClusterAway(Reason.CLUSTER_UNAVAILABLE, "too many requests", retry_after=9), times=1)
    scene.cluster.get("Service", "web")
    assert scene.clock.slept == 9


def test_it_is_not_waited_for_longer_than_the_patience(scene: Scene) -> None:
    scene.fails(ClusterAway(Reason.CLUSTER_UNAVAILABLE, "too many requests", retry_after=3600))
    with pytest.raises(ClusterAway):
        scene.cluster.get("Service", "web")
    assert scene.clock.slept == 0


def test_a_server_that_stays_away_costs_the_patience_once(scene: Scene) -> None:
    scene.fails(AWAY)
    for _ in range(5):
        with pytest.raises(ClusterAway):
            scene.cluster.get("Service", "web")
    assert scene.clock.slept <= PATIENCE_SECONDS


def test_one_that_has_answered_is_waited_for_again(scene: Scene) -> None:
    scene.fails(AWAY)
    with pytest.raises(ClusterAway):
        scene.cluster.get("Service", "web")
    scene.fails(AWAY, times=0)
    scene.cluster.get("Service", "web")
    scene.fails(AWAY, times=2)
    assert scene.cluster.get("Service", "web") is None


@pytest.mark.parametrize(
    "fault", [Permanent(Reason.CLUSTER_DENIED, "no"), QuotaExceeded(Reason.ROLLOUT_REFUSED, "exceeded quota")]
)
def test_what_is_an_answer_is_not_asked_again(scene: Scene, fault: NightferryError) -> None:
    scene.fails(fault)
    with pytest.raises(type(fault)):
        scene.cluster.apply(service())
    assert (scene.calls, scene.clock.slept) == (1, 0)


def test_a_conflict_that_is_about_no_state_is_tried_again(scene: Scene) -> None:
    scene.fails(CONFLICT, times=2)
    assert scene.cluster.create(service()) is not None
    scene.fails(CONFLICT, times=2)
    scene.cluster.apply(service())
    scene.fails(CONFLICT, times=2)
    assert scene.cluster.delete("Service", "web")


def test_a_conflict_about_a_state_is_the_callers_to_settle(scene: Scene) -> None:
    made = scene.cluster.apply(service())
    version = {name: made["metadata"][name] for name in ("uid", "resourceVersion")}
    bound = service()
    bound["metadata"] |= version
    for call in (
        lambda: scene.cluster.apply(bound),
        lambda: scene.cluster.patch("Service", "web", {"metadata": {"resourceVersion": version["resourceVersion"]}}),
        lambda: scene.cluster.delete("Service", "web", version["resourceVersion"]),
    ):
        scene.fails(CONFLICT)
        with pytest.raises(ClusterConflict):
            call()
        assert scene.calls == 1
    assert scene.clock.slept == 0
