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
        ("web@sha256:1: not found", False),
        ("401 Unauthorized", False),
    ],
)
def test_a_registry_that_is_down_is_no_fault_of_the_image(message: str, passes: bool) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": message}
    assert PodState.read(pod({"state": {"waiting": waiting}})).may_pass is passes


def test_no_node_has_room() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    assert PodState.read(pod(conditions=[condition])).unschedulable == "0/1 nodes"
