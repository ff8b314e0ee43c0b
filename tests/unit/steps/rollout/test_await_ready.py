"""Waiting for pods: what is said about those that do not come up."""

from __future__ import annotations

import pytest
from nightferry.clients.doors.cluster import Manifest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.manifests.deployment import deployment
from nightferry.steps.rollout.await_ready import await_ready

from tests.fakes.memory.memory_cluster import Behaviour, MemoryCluster
from tests.fakes.still_clock import StillClock
from tests.fakes.worlds.rollout_world import image, plan

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
    fault = failure(cluster, clock, seconds=5)
    assert fault.reason == Reason.ROLLOUT_NOT_READY
    assert isinstance(fault, Temporary)  # its pods are ready: nothing is wrong with the release


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


def says(cluster: MemoryCluster, clock: StillClock, seconds: float) -> tuple[Permanent | Temporary, dict[str, float]]:
    """How the wait ends, and when what was said first."""
    start, said = clock.monotonic(), dict[str, float]()
    with pytest.raises((Permanent, Temporary)) as caught:
        await_ready(
            cluster,
            "digits",
            RELEASE,
            seconds=seconds,
            clock=clock,
            say=lambda sentence: said.update({sentence: clock.monotonic() - start}),
        )
    return caught.value, said


NO_NODE = "0/1 nodes are available: 1 Insufficient cpu."


def test_a_pod_that_no_node_takes_is_named_at_once_and_waited_for_once() -> None:
    cluster, clock = world(Behaviour(unschedulable=NO_NODE))
    fault, said = says(cluster, clock, 120)
    assert isinstance(fault, Permanent)
    assert fault.reason == Reason.ROLLOUT_NO_CAPACITY
    assert NO_NODE in fault.sentence
    assert "cpu 100m, memory 256Mi" in fault.sentence
    assert min(when for sentence, when in said.items() if NO_NODE in sentence) < 15
    assert 120 <= clock.slept < 125


def test_a_node_pool_that_grows_in_time_is_enough() -> None:
    cluster, clock = world(Behaviour(unschedulable=NO_NODE))

    def grow(*_: object) -> None:
        if clock.slept >= 90:
            cluster.behaviours[image(RELEASE)] = Behaviour()

    cluster.before = grow
    assert len(await_ready(cluster, "digits", RELEASE, seconds=120, clock=clock)) == 1


def older(release: str, cluster: MemoryCluster, until: str = "2026-11-21T02:30:00Z") -> None:
    """A release before, kept warm."""
    made: Manifest = deployment(plan(release))
    made["metadata"]["annotations"][names.WARM_UNTIL] = until
    cluster.apply(made)
    cluster.get("Deployment", names.object_name(release))


def test_releases_kept_warm_that_hold_the_node_are_named() -> None:
    clock = StillClock()
    cluster = MemoryCluster(clock, node_cpu="150m")
    older("digits-2026-11-20.1", cluster)
    cluster.apply(deployment(plan(RELEASE)))
    fault, _ = says(cluster, clock, 60)
    assert fault.reason == Reason.ROLLOUT_NO_CAPACITY
    assert "digits-2026-11-20.1 (1 pod, warm until 2026-11-21T02:30:00Z)" in fault.sentence


def quota(**hard: str) -> Manifest:
    given = {name.replace("_", "."): amount for name, amount in hard.items()}
    return {"kind": "ResourceQuota", "metadata": {"name": "tight"}, "spec": {"hard": given}}


def test_a_quota_that_can_never_suffice_ends_the_wait() -> None:
    clock = StillClock()
    cluster = MemoryCluster(clock)
    cluster.apply(quota(requests_cpu="50m"))
    cluster.apply(deployment(plan(RELEASE)))
    fault, _ = says(cluster, clock, 120)
    assert isinstance(fault, Permanent)
    assert fault.reason == Reason.ROLLOUT_REFUSED
    assert clock.slept == 0


def test_a_quota_held_by_a_warm_release_passes_when_that_is_let_go() -> None:
    clock = StillClock()
    cluster = MemoryCluster(clock)
    cluster.apply(quota(requests_cpu="150m"))
    older("digits-2026-11-20.1", cluster)
    cluster.apply(deployment(plan(RELEASE)))
    fault, said = says(cluster, clock, 60)
    assert isinstance(fault, Temporary)
    assert fault.reason == Reason.ROLLOUT_REFUSED
    assert any("digits-2026-11-20.1" in sentence for sentence in said)
    cluster.patch("Deployment", "digits-20261120-1", {"spec": {"replicas": 0}})
    assert len(await_ready(cluster, "digits", RELEASE, seconds=60, clock=clock)) == 1


WEBHOOK = 'Internal error occurred: failed calling webhook "x.example": Post "https://x": context deadline exceeded'


def test_a_webhook_that_times_out_is_given_time() -> None:
    cluster, clock = world(Behaviour(refused=WEBHOOK))

    def mend(*_: object) -> None:
        if clock.slept >= 20:
            cluster.behaviours[image(RELEASE)] = Behaviour()

    cluster.before = mend
    assert len(await_ready(cluster, "digits", RELEASE, seconds=60, clock=clock)) == 1


def test_a_webhook_that_stays_away_is_the_clusters_fault() -> None:
    cluster, clock = world(Behaviour(refused=WEBHOOK))
    fault = failure(cluster, clock)
    assert isinstance(fault, Temporary)
    assert fault.reason == Reason.CLUSTER_UNAVAILABLE
    assert "x.example" in fault.sentence


@pytest.mark.parametrize(
    "refused",
    ['pods "x" is forbidden: violates PodSecurity "restricted"', 'admission webhook "x" denied the request: no'],
)
def test_what_a_policy_forbids_is_not_waited_for(refused: str) -> None:
    cluster, clock = world(Behaviour(refused=refused))
    fault = failure(cluster, clock)
    assert isinstance(fault, Permanent)
    assert fault.reason == Reason.ROLLOUT_REFUSED
    assert clock.slept == 0


def test_a_container_that_was_never_started_is_not_the_releases_fault() -> None:
    """Its image is still being fetched, or the node has no address for the pod."""
    cluster, clock = world(Behaviour(waiting="ContainerCreating"))
    fault = failure(cluster, clock)
    assert isinstance(fault, Temporary)
    assert fault.reason == Reason.ROLLOUT_NOT_READY


def test_a_sidecar_that_is_not_ready_is_named_and_not_blamed_on_the_release() -> None:
    beside = {"name": "proxy", "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    cluster, clock = world(Behaviour(ready_after=None, container_ready=True, beside=beside))
    fault = failure(cluster, clock)
    assert isinstance(fault, Temporary)
    assert "proxy (CrashLoopBackOff)" in fault.sentence
