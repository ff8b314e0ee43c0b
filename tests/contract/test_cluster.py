"""One suite for every cluster: the fake, one that is asked patiently, and the sandbox's own (a scratch namespace, with
the admin's kubeconfig)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from nightferry import settings
from nightferry.clients.clock import SystemClock
from nightferry.clients.cluster_faults import pods_fault
from nightferry.clients.doors.cluster import Cluster, ClusterConflict, QuotaExceeded
from nightferry.clients.patient_cluster import PatientCluster
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.manifests import names
from nightferry.manifests.deployment import deployment
from nightferry.manifests.route import route, weights_of
from nightferry.steps.rollout.await_ready import await_ready, pods_of
from nightferry.steps.rollout.check_quota import check_quota
from nightferry.steps.rollout.lease.claim import Claim, Held, Rank
from nightferry.steps.rollout.lease.claims import of_person, of_rollout
from nightferry.steps.rollout.lease.leased_cluster import Hold, hold

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.still_clock import StillClock
from tests.fakes.worlds.rollout_world import plan

LABELS = {"app.kubernetes.io/name": "contract"}


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": LABELS},
        "spec": {"selector": {"app": "one"}, "ports": ports, **spec},
    }


def admin_kubeconfig() -> Path:
    return settings.load().home / "kubernetes" / "admin.kubeconfig"


@pytest.fixture(params=["memory", "patient", pytest.param("sandbox", marks=pytest.mark.sandbox)])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if request.param != "sandbox":
        memory = MemoryCluster(namespace="scratch", node_cpu="64")
        yield memory if request.param == "memory" else PatientCluster(memory, StillClock())
        return
    from kubernetes import client, config
    from nightferry.clients.kube.cluster import KubeCluster

    api = config.new_client_from_config(str(admin_kubeconfig()), persist_config=False)
    name = f"nf-test-{uuid.uuid4().hex[:8]}"
    core = client.CoreV1Api(api)
    core.create_namespace({"metadata": {"name": name}})
    try:
        yield KubeCluster(api, name)
    finally:
        core.delete_namespace(name)


def get(cluster: Cluster, name: str = "web") -> dict[str, Any]:
    found = cluster.get("Service", name)
    assert found is not None
    return found


def test_what_is_not_there(cluster: Cluster) -> None:
    assert cluster.get("Service", "web") is None
    assert cluster.patch("Service", "web", {"metadata": {"labels": {"a": "b"}}}) is None
    assert cluster.delete("Service", "web") is False
    assert list(cluster.list("Deployment", LABELS)) == []
    assert cluster.last_words("no-such-pod") == ""


def test_create_takes_a_name_once(cluster: Cluster) -> None:
    made = cluster.create(service())
    assert made is not None
    assert made["metadata"]["resourceVersion"]
    assert cluster.create(service()) is None


def test_apply_makes_and_changes(cluster: Cluster) -> None:
    first = cluster.apply(service())
    second = cluster.apply(service(selector={"app": "two"}))
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert get(cluster)["spec"]["selector"] == {"app": "two"}


def test_apply_of_the_same_changes_nothing(cluster: Cluster) -> None:
    first = cluster.apply(service())
    assert cluster.apply(service())["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_what_is_applied_no_more_goes(cluster: Cluster) -> None:
    with_note = service()
    with_note["metadata"]["annotations"] = {"a": "1", "b": "2"}
    cluster.apply(with_note)
    with_note["metadata"]["annotations"] = {"b": "2"}
    cluster.apply(with_note)
    assert get(cluster)["metadata"]["annotations"] == {"b": "2"}


def test_apply_takes_over_what_was_created(cluster: Cluster) -> None:
    cluster.create(service(selector={"app": "none"}))
    cluster.apply(service())
    assert get(cluster)["spec"]["selector"] == {"app": "one"}


def test_the_node_port_stays(cluster: Cluster) -> None:
    cluster.create(service())
    first = cluster.apply(service(type="NodePort"))["spec"]
    second = cluster.apply(service(type="NodePort", selector={"app": "two"}))["spec"]
    assert first["ports"][0]["nodePort"]
    assert (second["ports"], second["clusterIP"]) == (first["ports"], first["clusterIP"])


def test_apply_from_another_state_is_refused(cluster: Cluster) -> None:
    old = cluster.apply(service())["metadata"]["resourceVersion"]
    new = cluster.apply(service(selector={"app": "two"}))["metadata"]["resourceVersion"]
    late = service(selector={"app": "three"})
    late["metadata"]["resourceVersion"] = old
    with pytest.raises(ClusterConflict):
        cluster.apply(late)
    assert get(cluster)["spec"]["selector"] == {"app": "two"}
    late["metadata"]["resourceVersion"] = new
    cluster.apply(late)
    assert get(cluster)["spec"]["selector"] == {"app": "three"}


def test_apply_of_a_state_of_what_is_gone_is_refused(cluster: Cluster) -> None:
    gone, made = service(), cluster.apply(service())
    gone["metadata"] |= {name: made["metadata"][name] for name in ("uid", "resourceVersion")}
    cluster.delete("Service", "web")
    with pytest.raises(ClusterConflict):
        cluster.apply(gone)
    assert cluster.get("Service", "web") is None


def test_patch_adds_and_removes(cluster: Cluster) -> None:
    cluster.apply(service())
    cluster.patch("Service", "web", {"metadata": {"annotations": {"a": "1", "b": "2"}}})
    cluster.patch("Service", "web", {"metadata": {"annotations": {"a": None}}})
    assert get(cluster)["metadata"]["annotations"] == {"b": "2"}


def test_patch_from_another_state_is_refused(cluster: Cluster) -> None:
    old = cluster.apply(service())["metadata"]["resourceVersion"]
    cluster.patch("Service", "web", {"metadata": {"annotations": {"a": "1"}}})
    late = {"metadata": {"annotations": {"a": "2"}, "resourceVersion": old}}
    with pytest.raises(ClusterConflict):
        cluster.patch("Service", "web", late)
    assert get(cluster)["metadata"]["annotations"] == {"a": "1"}


def test_delete_from_another_state_is_refused(cluster: Cluster) -> None:
    old = cluster.apply(service())["metadata"]["resourceVersion"]
    cluster.patch("Service", "web", {"metadata": {"annotations": {"a": "1"}}})
    with pytest.raises(ClusterConflict):
        cluster.delete("Service", "web", old)
    assert cluster.delete("Service", "web", get(cluster)["metadata"]["resourceVersion"]) is True
    assert cluster.get("Service", "web") is None


def test_list_by_label_and_field(cluster: Cluster) -> None:
    cluster.apply(service("one"))
    cluster.apply(service("two"))
    other = service("other")
    other["metadata"]["labels"] = {"app.kubernetes.io/name": "other"}
    cluster.apply(other)
    assert sorted(found["metadata"]["name"] for found in cluster.list("Service", LABELS)) == ["one", "two"]
    assert [found["kind"] for found in cluster.list("Service", LABELS, {"metadata.name": "two"})] == ["Service"]


def test_what_belongs_to_an_object_goes_with_it(cluster: Cluster) -> None:
    owner = cluster.apply(service("owner"))
    owned = service("owned")
    reference = {"apiVersion": "v1", "kind": "Service", "name": "owner", "uid": owner["metadata"]["uid"]}
    owned["metadata"]["ownerReferences"] = [reference]
    cluster.apply(owned)
    cluster.delete("Service", "owner")
    deadline = time.monotonic() + 30
    while cluster.get("Service", "owned") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert cluster.get("Service", "owned") is None


TRAFFIC = {"gateway": "nobodys/gateway", "host": "contract.nightferry.test"}
RELEASES = ("digits-2026-11-21.1", "digits-2026-11-21.2")


def weighed(*weights: int, found: dict[str, Any] | None = None) -> dict[str, Any]:
    shares = dict(zip(RELEASES, weights, strict=True))
    return route("web", plan(traffic=TRAFFIC).environment, shares, {}, found)


def weights(cluster: Cluster) -> list[int]:
    found = cluster.get("HTTPRoute", "web")
    assert found
    return list(weights_of(found).values())


def test_a_route_that_is_not_there(cluster: Cluster) -> None:
    assert cluster.get("HTTPRoute", "web") is None
    assert cluster.patch("HTTPRoute", "web", {"metadata": {"labels": {"a": "b"}}}) is None
    assert cluster.delete("HTTPRoute", "web") is False
    assert list(cluster.list("HTTPRoute", LABELS)) == []


def test_a_route_is_made_changed_and_taken_away(cluster: Cluster) -> None:
    made = cluster.create(weighed(100, 0))
    assert made
    assert cluster.create(weighed(0, 100)) is None
    cluster.apply(weighed(90, 10, found=made))
    assert weights(cluster) == [90, 10]
    cluster.patch("HTTPRoute", "web", {"metadata": {"annotations": {names.ORDER: "7"}}})
    listed = cluster.list("HTTPRoute", names.labels("web"))
    assert [names.annotations_of(found)[names.ORDER] for found in listed] == ["7"]
    assert weights(cluster) == [90, 10]
    assert cluster.delete("HTTPRoute", "web") is True
    assert cluster.get("HTTPRoute", "web") is None


def test_a_route_is_read_back_as_it_was_applied(cluster: Cluster) -> None:
    """So that a difference is somebody's hand, and no default of the cluster's."""
    made = cluster.apply(weighed(90, 10))
    assert made["spec"] == weighed(90, 10)["spec"]
    assert cluster.apply(weighed(90, 10))["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_route_from_another_state_is_refused(cluster: Cluster) -> None:
    old = cluster.apply(weighed(100, 0))
    new = cluster.apply(weighed(90, 10, found=old))
    with pytest.raises(ClusterConflict):
        cluster.apply(weighed(0, 100, found=old))
    assert weights(cluster) == [90, 10]
    cluster.apply(weighed(0, 100, found=new))
    assert weights(cluster) == [0, 100]


def test_a_route_that_is_gone_is_not_made_anew(cluster: Cluster) -> None:
    old = cluster.apply(weighed(100, 0))
    cluster.delete("HTTPRoute", "web")
    with pytest.raises(ClusterConflict):
        cluster.apply(weighed(0, 100, found=old))
    assert cluster.get("HTTPRoute", "web") is None


def test_a_route_to_nobody_is_taken(cluster: Cluster) -> None:
    made = cluster.create(route("web", plan(traffic=TRAFFIC).environment, {}, {}, None))
    assert made
    assert weights_of(made) == {}


@pytest.mark.parametrize("patient", [False, True])
def test_a_cluster_without_the_gateway_api_says_so(patient: bool) -> None:
    """What the real one makes of it is in tests/unit/clients/test_kube_cluster.py: the sandbox has a gateway."""
    memory = MemoryCluster()
    memory.without = {"HTTPRoute"}
    cluster: Cluster = PatientCluster(memory, StillClock()) if patient else memory
    for call in (lambda: cluster.get("HTTPRoute", "web"), lambda: cluster.apply(weighed(1, 0))):
        with pytest.raises(Permanent) as caught:
            call()
        assert caught.value.reason == Reason.GATEWAY_MISSING
    assert cluster.get("Service", "web") is None


RELEASE = "digits-2026-11-21.1"
HUGE = {"cpu": "500", "cpu_limit": "500"}  # more than any node has


def eventually(look: Callable[[], Any], seconds: float = 15) -> Any:
    """What a look finds within some seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it was looked for in vain"
        time.sleep(0.1)
    return found


def quota(**hard: str) -> dict[str, Any]:
    given = {name.replace("_", "."): amount for name, amount in hard.items()}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight"}, "spec": {"hard": given}}


def counted(cluster: Cluster) -> bool:
    """Whether the quota's controller has looked at it."""
    found = cluster.get("ResourceQuota", "tight")
    return bool(found and (found.get("status") or {}).get("used"))


def replica_failure(cluster: Cluster) -> str:
    """Why the controller could not make the release's pods."""
    found = cluster.get("Deployment", names.object_name(RELEASE)) or {}
    conditions = (found.get("status") or {}).get("conditions") or []
    return next((str(one["message"]) for one in conditions if one["type"] == "ReplicaFailure"), "")


def test_a_quota_that_is_used_up_is_seen_before_anything_is_made(cluster: Cluster) -> None:
    cluster.apply(quota(requests_cpu="150m"))
    eventually(lambda: counted(cluster))
    check_quota(cluster, deployment(plan(RELEASE, replicas=1)))  # the control: one pod of 100m fits
    with pytest.raises(Permanent) as caught:
        check_quota(cluster, deployment(plan(RELEASE, replicas=2)))
    assert caught.value.reason == Reason.ROLLOUT_REFUSED
    for said in ("tight", "requests.cpu", "wanted 200m", "150m"):
        assert said in caught.value.sentence


def test_what_the_quota_forbids_is_told_as_such_by_the_controller(cluster: Cluster) -> None:
    cluster.apply(quota(requests_cpu="50m"))
    eventually(lambda: counted(cluster))
    cluster.apply(deployment(plan(RELEASE)))
    said = eventually(lambda: replica_failure(cluster))
    assert isinstance(pods_fault(said, "the pods"), QuotaExceeded), said


def test_a_pod_that_no_node_takes_is_named_and_waited_for_once(cluster: Cluster) -> None:
    cluster.apply(deployment(plan(RELEASE, resources=HUGE)))
    start = time.monotonic()
    said: list[tuple[float, str]] = []
    with pytest.raises(Permanent) as caught:
        await_ready(
            cluster,
            "digits",
            RELEASE,
            seconds=5,
            clock=SystemClock(),
            say=lambda sentence: said.append((time.monotonic() - start, sentence)),
        )
    assert caught.value.reason == Reason.ROLLOUT_NO_CAPACITY
    assert "Insufficient cpu" in caught.value.sentence
    assert "cpu 500" in caught.value.sentence
    named = [when for when, sentence in said if "Insufficient cpu" in sentence]
    assert named
    assert named[0] < 15
    assert time.monotonic() - start < 30
    assert pods_of(cluster, "digits", RELEASE)[0].unschedulable


def lease(clock: SystemClock) -> dict[str, Any]:
    return of_rollout(plan(RELEASE, 7)).lease(clock.now())


def test_a_lease_is_made_once_and_read_back(cluster: Cluster) -> None:
    claim = of_rollout(plan(RELEASE, 7))
    assert cluster.get("Lease", "digits") is None
    assert cluster.create(claim.lease(SystemClock().now()))
    assert cluster.create(lease(SystemClock())) is None
    held = Held.of(cluster.get("Lease", "digits") or {})
    assert (held.holder, held.order, held.release, held.transitions) == (claim.holder, 7, RELEASE, 0)


def test_of_two_who_saw_the_same_lease_one_takes_it(cluster: Cluster) -> None:
    cluster.create(lease(SystemClock()))
    seen = Held.of(cluster.get("Lease", "digits") or {})
    mine, theirs = of_rollout(plan(RELEASE, 8)), of_person("digits", "ana")
    assert cluster.patch("Lease", "digits", mine.taking(seen, SystemClock().now()))
    with pytest.raises(ClusterConflict):
        cluster.patch("Lease", "digits", theirs.taking(seen, SystemClock().now()))
    held = Held.of(cluster.get("Lease", "digits") or {})
    assert (held.holder, held.rank, held.transitions) == (mine.holder, Rank.ROLLOUT, 1)


def test_a_lease_is_taken_kept_lost_and_let_go(cluster: Cluster) -> None:
    def opened(claim: Claim) -> AbstractContextManager[Hold]:
        return hold(lambda guard: guard(cluster), claim, SystemClock(), at_once=False, beating=False)

    with opened(of_rollout(plan(RELEASE, 7))) as rollout, opened(of_person("digits", "ana")) as person:
        rollout.cluster.apply(service())
        person.cluster.apply(service("two"))
        with pytest.raises(Permanent) as caught:
            rollout.cluster.apply(service("three"))
        assert caught.value.reason == Reason.ROLLOUT_SUPERSEDED
        assert cluster.get("Service", "three") is None
    assert Held.of(cluster.get("Lease", "digits") or {}).holder == ""
    with opened(of_rollout(plan(RELEASE, 8))) as rollout:
        rollout.cluster.apply(service("three"))
        assert cluster.delete("Lease", "digits")
        rollout.cluster.apply(service("four"))
        assert "roll_out" in Held.of(cluster.get("Lease", "digits") or {}).holder
