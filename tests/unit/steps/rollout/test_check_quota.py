"""What a quota lacks for a release, and what is said about it."""

from __future__ import annotations

from typing import Any

import pytest
from nightferry.clients.doors.cluster import Manifest, QuotaExceeded
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.manifests.deployment import deployment
from nightferry.steps.rollout.await_ready import await_ready
from nightferry.steps.rollout.check_quota import await_quota, check_quota

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.still_clock import StillClock
from tests.fakes.worlds.rollout_world import World, plan

BEFORE, RELEASE = "digits-2026-11-20.1", "digits-2026-11-21.1"
UNTIL = "2026-11-21T02:30:00Z"


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster(StillClock())


def limit(cluster: MemoryCluster, hard: dict[str, str], name: str = "tight", **spec: Any) -> None:
    cluster.apply({"kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard, **spec}})


def runs(cluster: MemoryCluster, release: str, warm: bool = False, replicas: int = 1) -> Manifest:
    made = deployment(plan(release, replicas=replicas))
    if warm:
        made["metadata"]["annotations"][names.WARM_UNTIL] = UNTIL
    made = cluster.apply(made)
    cluster.settle()
    return made


def release(replicas: int = 1) -> Manifest:
    return deployment(plan(RELEASE, replicas=replicas))


def test_a_namespace_without_quota_is_asked_once(cluster: MemoryCluster) -> None:
    calls: list[str] = []
    cluster.before = lambda call, kind: calls.append(kind)
    check_quota(cluster, release())
    assert calls == ["ResourceQuota"]


@pytest.mark.parametrize(
    ("hard", "fits"),
    [
        ({"pods": "2"}, True),
        ({"pods": "1"}, False),
        ({"count/pods": "1"}, False),
        ({"requests.cpu": "200m"}, True),
        ({"cpu": "0.199"}, False),
        ({"requests.memory": "512Mi"}, True),
        ({"memory": "536870911"}, False),
        ({"limits.cpu": "1999m"}, False),
        ({"limits.memory": "2Gi"}, True),
        ({"requests.nvidia.com/gpu": "0", "services": "0", "persistentvolumeclaims": "0"}, True),
    ],
)
def test_what_counts(cluster: MemoryCluster, hard: dict[str, str], fits: bool) -> None:
    limit(cluster, hard)
    if fits:
        check_quota(cluster, release(replicas=2))
        return
    with pytest.raises(Permanent) as caught:
        check_quota(cluster, release(replicas=2))
    assert caught.value.reason == Reason.ROLLOUT_REFUSED
    assert "tight" in caught.value.sentence


def test_what_is_missing_is_said(cluster: MemoryCluster) -> None:
    limit(cluster, {"requests.cpu": "250m", "requests.memory": "300Mi"})
    runs(cluster, BEFORE)
    with pytest.raises(Permanent) as caught:
        check_quota(cluster, release(replicas=2))
    assert "requests.cpu of quota tight: wanted 200m, used 100m of 250m" in caught.value.sentence
    assert "requests.memory of quota tight: wanted 512Mi, used 256Mi of 300Mi" in caught.value.sentence


def test_a_release_kept_warm_is_named_as_what_holds_it(cluster: MemoryCluster) -> None:
    limit(cluster, {"requests.cpu": "150m"})
    runs(cluster, BEFORE, warm=True)
    with pytest.raises(QuotaExceeded) as caught:
        check_quota(cluster, release())
    assert f"{BEFORE} (1 pod, warm until {UNTIL})" in caught.value.sentence


def test_a_warm_release_that_holds_too_little_is_no_hope(cluster: MemoryCluster) -> None:
    limit(cluster, {"requests.cpu": "150m"})
    runs(cluster, BEFORE, warm=True)
    with pytest.raises(Permanent) as caught:
        check_quota(cluster, release(replicas=2))
    assert "is not enough" in caught.value.sentence


def test_the_release_in_use_is_not_taken_for_one_that_goes(cluster: MemoryCluster) -> None:
    limit(cluster, {"requests.cpu": "150m"})
    runs(cluster, BEFORE)
    with pytest.raises(Permanent):
        check_quota(cluster, release())


def test_pods_that_are_ending_will_be_gone(cluster: MemoryCluster) -> None:
    """Those of an attempt before, which was taken away."""
    limit(cluster, {"requests.cpu": "150m"})
    runs(cluster, RELEASE)
    pod = cluster.objects[("Pod", cluster.names("Pod")[0])]
    pod["metadata"]["deletionTimestamp"] = "2026-11-21T01:00:00Z"
    with pytest.raises(QuotaExceeded):
        check_quota(cluster, release())


def test_pods_that_the_release_has_already_are_not_wanted_again(cluster: MemoryCluster) -> None:
    limit(cluster, {"requests.cpu": "250m"})
    made = runs(cluster, RELEASE, replicas=2)
    check_quota(cluster, made)
    with pytest.raises(Permanent) as caught:
        check_quota(cluster, release(replicas=3))
    assert "1 pod of" in caught.value.sentence


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        ({"scopes": ["NotTerminating", "NotBestEffort"]}, True),
        ({"scopes": ["Terminating"]}, False),
        ({"scopes": ["BestEffort"]}, False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass"}]}}, False),
    ],
)
def test_quotas_that_are_about_other_pods(cluster: MemoryCluster, spec: dict[str, Any], counts: bool) -> None:
    limit(cluster, {"pods": "0"}, **spec)
    if counts:
        with pytest.raises(Permanent):
            check_quota(cluster, release())
    else:
        check_quota(cluster, release())


def test_each_quota_counts(cluster: MemoryCluster) -> None:
    limit(cluster, {"pods": "9"}, name="wide")
    limit(cluster, {"pods": "0"})
    with pytest.raises(Permanent):
        check_quota(cluster, release())


def test_quotas_that_may_not_be_read_are_left_to_the_cluster(cluster: MemoryCluster) -> None:
    def deny(call: str, kind: str) -> None:
        if kind == "ResourceQuota":
            raise Permanent(Reason.CLUSTER_DENIED, "resourcequotas is forbidden")

    limit(cluster, {"pods": "0"})
    cluster.before = deny
    check_quota(cluster, release())


def test_a_cluster_that_does_not_answer_is_no_verdict(cluster: MemoryCluster) -> None:
    cluster.fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "no answer")
    with pytest.raises(Temporary):
        check_quota(cluster, release())


def test_a_sidecar_that_is_written_into_the_pod_counts(cluster: MemoryCluster) -> None:
    limit(cluster, {"requests.cpu": "150m"})
    made = release()
    pod = made["spec"]["template"]["spec"]
    pod["initContainers"] = [{"name": "once", "resources": {"requests": {"cpu": "120m"}}}]
    check_quota(cluster, made)
    pod["initContainers"][0] |= {"restartPolicy": "Always"}
    with pytest.raises(Permanent):
        check_quota(cluster, made)


def test_warm_releases_are_waited_for(cluster: MemoryCluster) -> None:
    limit(cluster, {"requests.cpu": "150m"})
    runs(cluster, BEFORE, warm=True)
    clock: Any = cluster.clock

    def retire(*_: object) -> None:
        if clock.slept >= 30:
            cluster.objects[("Deployment", names.object_name(BEFORE))]["spec"]["replicas"] = 0

    cluster.before = retire
    await_quota(cluster, release(), seconds=60, clock=clock)
    assert 30 <= clock.slept < 45


def test_who_waits_lets_those_go_whose_time_is_over(cluster: MemoryCluster) -> None:
    limit(cluster, {"requests.cpu": "150m"})
    runs(cluster, BEFORE, warm=True)
    clock: Any = cluster.clock

    def let_go() -> None:
        cluster.objects[("Deployment", names.object_name(BEFORE))]["spec"]["replicas"] = 0

    await_quota(cluster, release(), seconds=60, clock=clock, let_go=let_go)
    assert clock.slept == 5


def test_they_are_waited_for_no_longer_than_asked(cluster: MemoryCluster) -> None:
    limit(cluster, {"requests.cpu": "150m"})
    runs(cluster, BEFORE, warm=True)
    clock: Any = cluster.clock
    with pytest.raises(QuotaExceeded):
        await_quota(cluster, release(), seconds=60, clock=clock)
    assert 60 <= clock.slept <= 65


def test_what_cannot_fit_is_not_waited_for(cluster: MemoryCluster) -> None:
    limit(cluster, {"pods": "0"})
    clock: Any = cluster.clock
    with pytest.raises(Permanent):
        await_quota(cluster, release(), seconds=60, clock=clock)
    assert clock.slept == 0


def test_a_rollout_makes_nothing_where_it_cannot_fit() -> None:
    world = World()
    limit(world.cluster, {"requests.cpu": "50m"})
    made: list[str] = []
    world.cluster.before = lambda call, kind: made.append(kind) if call in ("apply", "create") else None
    with pytest.raises(Permanent) as caught:
        world.roll_out(RELEASE)
    assert caught.value.reason == Reason.ROLLOUT_REFUSED
    assert made == []
    assert world.entries()[-1].sentence == caught.value.sentence


def test_two_rollouts_for_the_last_room_end_with_one(cluster: MemoryCluster) -> None:
    """Both looked before either made its pods: the one whose pods are refused is told who has the room."""
    limit(cluster, {"requests.cpu": "150m"})
    first, second = deployment(plan(BEFORE)), release()
    check_quota(cluster, first)
    check_quota(cluster, second)
    cluster.apply(first)
    cluster.settle()
    cluster.apply(second)
    clock: Any = cluster.clock
    assert len(await_ready(cluster, "digits", BEFORE, seconds=60, clock=clock)) == 1
    with pytest.raises(Permanent) as caught:
        await_ready(cluster, "digits", RELEASE, seconds=60, clock=clock)
    assert caught.value.reason == Reason.ROLLOUT_REFUSED
