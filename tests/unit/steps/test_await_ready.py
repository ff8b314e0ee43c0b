"""Waiting for pods: what is said about those that do not come up."""

from __future__ import annotations

import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.manifests.deployment import deployment
from nightferry.steps.rollout.await_ready import await_ready

from tests.fakes.memory_cluster import Behaviour, MemoryCluster
from tests.fakes.rollout_world import image, plan
from tests.fakes.still_clock import StillClock

RELEASE = "digits-2026-11-21.1"


def world(behaviour: Behaviour, replicas: int = 1) -> tuple[MemoryCluster, StillClock]:
    clock = StillClock()
    cluster = MemoryCluster(clock)
    cluster.behaviours[image(RELEASE)] = behaviour
    cluster.apply(deployment(plan(RELEASE, replicas=replicas)))
    return cluster, clock


def failure(cluster: MemoryCluster, clock: StillClock, seconds: float = 60) -> Permanent | Temporary:
    with pytest.raises((Permanent, Temporary)) as caught:
        await_ready(cluster, "digits", RELEASE, seconds=seconds, clock=clock)
    return caught.value


def test_all_pods_are_awaited() -> None:
    cluster, clock = world(Behaviour(ready_after=3), replicas=3)
    pods = await_ready(cluster, "digits", RELEASE, seconds=60, clock=clock)
    assert len(pods) == 3
    assert 3 <= clock.slept < 4


def test_an_older_state_of_the_deployment_does_not_count() -> None:
    """The controller has not seen the change yet: what it says is about the Deployment as it was."""
    cluster, clock = world(Behaviour(ready_after=0))
    name = "digits-20261121-1"
    cluster.get("Deployment", name)
    cluster.settle = lambda: None  # type: ignore[method-assign]
    cluster.objects[("Deployment", name)]["metadata"]["generation"] = 9
    assert failure(cluster, clock, seconds=5).reason == Reason.ROLLOUT_NOT_READY


def test_the_last_words_of_a_crash_are_told() -> None:
    log = "Traceback (most recent call last):\n  …\nStartError: model.onnx has the opset 99\n"
    cluster, clock = world(Behaviour(crash=log))
    sentence = failure(cluster, clock).sentence
    assert "crashes" in sentence
    assert "model.onnx has the opset 99" in sentence
    assert "\n" not in sentence


def test_the_newest_warning_is_told() -> None:
    cluster, clock = world(Behaviour(ready_after=None))
    cluster.get("Deployment", "digits-20261121-1")
    pod = cluster.names("Pod")[0]
    for time, message in (("T01", "old news"), ("T03", "Readiness probe failed: 503"), ("T02", "older")):
        about = {"kind": "Pod", "name": pod}
        event = {"type": "Warning", "lastTimestamp": time, "message": message, "involvedObject": about}
        cluster.events.append({"kind": "Event", "metadata": {"name": time}, **event})
    sentence = failure(cluster, clock).sentence
    assert "Readiness probe failed: 503" in sentence
    assert "old" not in sentence


def test_a_deployment_that_goes_away_ends_the_wait() -> None:
    cluster, clock = world(Behaviour(ready_after=None))
    cluster.delete("Deployment", "digits-20261121-1")
    assert isinstance(failure(cluster, clock), Permanent)
    assert clock.slept == 0


def test_a_cluster_that_stays_away_is_named_as_the_cause() -> None:
    cluster, clock = world(Behaviour())
    cluster.fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "no answer")
    assert failure(cluster, clock).reason == Reason.CLUSTER_UNAVAILABLE
    assert clock.slept >= 60


def test_rights_that_are_missing_end_the_wait() -> None:
    cluster, clock = world(Behaviour())
    cluster.fault = Permanent(Reason.CLUSTER_DENIED, "pods is forbidden")
    assert failure(cluster, clock).reason == Reason.CLUSTER_DENIED
    assert clock.slept == 0


def test_a_deployment_scaled_to_zero_is_not_ready() -> None:
    cluster, clock = world(Behaviour())
    cluster.patch("Deployment", "digits-20261121-1", {"spec": {"replicas": 0}})
    assert failure(cluster, clock, seconds=5).reason == Reason.ROLLOUT_NOT_READY
