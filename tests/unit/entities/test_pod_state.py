"""Reading a pod's manifest."""

from __future__ import annotations

from typing import Any

import pytest
from nightferry.entities.pod_state import PodState


def pod(container: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    statuses = [container] if container else []
    return {
        "metadata": {"name": "web-1"},
        "spec": {"containers": [{"image": "web@sha256:1"}]},
        "status": {"containerStatuses": statuses, **status},
    }


def test_a_pod_that_was_just_made() -> None:
    made = {"metadata": {"name": "web-1"}, "spec": {"containers": [{"image": "web@sha256:1"}]}}
    state = PodState.read(made)
    assert (state.phase, state.ready, state.ip, state.hopeless, state.deleting) == ("Pending", False, "", "", False)


def test_a_ready_pod() -> None:
    conditions = [{"type": "Ready", "status": "True"}]
    container = {"imageID": "web@sha256:1", "restartCount": 0, "state": {"running": {}}}
    state = PodState.read(pod(container, podIP="10.0.0.1", phase="Running", conditions=conditions))
    assert (state.ready, state.ip, state.image_id, state.hopeless) == (True, "10.0.0.1", "web@sha256:1", "")


def test_a_pod_on_its_way_out() -> None:
    going = pod()
    going["metadata"]["deletionTimestamp"] = "2026-11-21T01:00:00Z"
    assert PodState.read(going).deleting


@pytest.mark.parametrize(
    ("reason", "hopeless"),
    [("CrashLoopBackOff", True), ("ImagePullBackOff", True), ("ErrImagePull", False), ("ContainerCreating", False)],
)
def test_waiting_that_is_in_vain(reason: str, hopeless: bool) -> None:
    state = PodState.read(pod({"state": {"waiting": {"reason": reason}}}))
    assert bool(state.hopeless) is hopeless


@pytest.mark.parametrize(("restarts", "hopeless"), [(0, False), (1, False), (2, True)])
def test_a_container_that_ended(restarts: int, hopeless: bool) -> None:
    ended = {"exitCode": 137, "reason": "OOMKilled", "message": " killed \n"}
    container = {"restartCount": restarts, "state": {"running": {}}, "lastState": {"terminated": ended}}
    state = PodState.read(pod(container))
    assert (state.ended, state.ended_message, bool(state.hopeless)) == ("OOMKilled", "killed", hopeless)


def test_an_exit_code_is_told_where_there_is_no_better_word() -> None:
    ended = {"exitCode": 3, "reason": "Error"}
    assert PodState.read(pod({"state": {"terminated": ended}})).ended == "exit code 3"


@pytest.mark.parametrize(
    ("message", "passes"),
    [
        ("failed to do request: dial tcp 10.0.0.1:443: connect: connection refused", True),
        ("unexpected status: 503 Service Unavailable", True),
        ('failed to do request: Head "https://registry/v2/": context deadline exceeded', True),
        ("net/http: TLS handshake timeout", True),
        ("toomanyrequests: You have reached your pull rate limit", True),
        ("read tcp 10.0.0.1:443: connection reset by peer", True),
        ("dial tcp: lookup registry.example: Temporary failure in name resolution", True),
        ("web@sha256:1: not found", False),
        (f"web@sha256:{'503ab' * 13}: not found", False),
        (f"web@sha256:{'a' * 31}-502x: manifest unknown", False),
        ("401 Unauthorized", False),
    ],
)
def test_a_registry_that_is_down_is_no_fault_of_the_image(message: str, passes: bool) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": message}
    assert PodState.read(pod({"state": {"waiting": waiting}})).may_pass is passes


def test_no_node_has_room() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    assert PodState.read(pod(conditions=[condition])).unschedulable == "0/1 nodes"


def several(*statuses: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **status: Any) -> dict[str, Any]:
    """A pod into which the cluster put a sidecar before the service; Kubernetes sorts the states by name."""
    asked = {"requests": {"cpu": "100m", "memory": "256Mi"}}
    containers = [
        {"name": "proxy", "image": "proxy:1", "resources": {"requests": {"cpu": "10m"}}},
        {"name": "service", "image": "web@sha256:1", "resources": asked},
    ]
    return {
        "metadata": {"name": "web-1"},
        "spec": {"containers": containers},
        "status": {"containerStatuses": list(statuses), "initContainerStatuses": list(init), **status},
    }


PROXY = {"name": "proxy", "ready": True, "imageID": "proxy@sha256:9", "restartCount": 7, "state": {"running": {}}}
SERVICE = {"name": "service", "ready": True, "imageID": "web@sha256:1", "restartCount": 0, "state": {"running": {}}}


def test_a_sidecar_is_not_taken_for_the_service() -> None:
    state = PodState.read(several(PROXY, SERVICE))
    assert (state.image, state.image_id, state.restarts) == ("web@sha256:1", "web@sha256:1", 0)
    assert (state.container, state.container_ready, state.beside) == ("service", True, ())


def test_a_service_that_has_no_state_yet_has_not_its_sidecars() -> None:
    crashing = PROXY | {"ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    state = PodState.read(several(crashing))
    assert (state.image_id, state.waiting, state.hopeless, state.begun) == ("", "", "", False)
    assert state.beside == ("proxy (CrashLoopBackOff)",)


def test_a_sidecar_that_crashes_is_not_the_services_crash() -> None:
    ended = {"exitCode": 1, "reason": "Error", "message": "no control plane"}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    crashing = PROXY | {"ready": False, "state": waiting, "lastState": {"terminated": ended}}
    state = PodState.read(several(crashing, SERVICE))
    assert (state.hopeless, state.container_ready) == ("", True)
    assert state.beside == ("proxy (exit code 1, CrashLoopBackOff, no control plane)",)


def test_an_init_container_that_fails_is_named() -> None:
    failed = {"name": "init", "ready": False, "state": {"terminated": {"exitCode": 3, "message": "no route"}}}
    done = {"name": "first", "ready": True, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    waiting = SERVICE | {"ready": False, "state": {"waiting": {"reason": "PodInitializing"}}}
    state = PodState.read(several(waiting, init=(done, failed)))
    assert state.beside == ("init (exit code 3, no route)",)
    assert (state.begun, state.hopeless) == (False, "")


def test_a_pod_that_serves_is_not_hopeless_for_what_it_lived_through() -> None:
    ended = {"exitCode": 137, "reason": "OOMKilled"}
    survivor = SERVICE | {"restartCount": 4, "lastState": {"terminated": ended}}
    assert PodState.read(several(survivor, conditions=[{"type": "Ready", "status": "True"}])).hopeless == ""
    assert PodState.read(several(survivor)).hopeless == "crashes"  # the control: it does not serve


def test_a_pod_that_the_cluster_ended() -> None:
    evicted = several(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    state = PodState.read(evicted)
    assert state.over
    assert state.evicted == "Evicted The node was low on resource: memory."


def test_what_a_pod_asks_of_a_node() -> None:
    assert PodState.read(several()).requests == "cpu 10m + 100m, memory 256Mi"


@pytest.mark.parametrize(
    ("code", "reason", "crashes"),
    [(1, "Error", True), (139, "Error", True), (137, "Error", False), (143, "Error", False), (137, "OOMKilled", False)],
)
def test_only_what_the_service_did_itself_is_its_crash(code: int, reason: str, crashes: bool) -> None:
    ended = {"terminated": {"exitCode": code, "reason": reason}}
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    assert PodState.read(pod({"state": state, "lastState": ended, "restartCount": 3})).crashes is crashes


def test_a_pull_that_fails_is_no_crash() -> None:
    assert not PodState.read(pod({"state": {"waiting": {"reason": "ImagePullBackOff"}}, "restartCount": 0})).crashes
