"""Hands in a real cluster: what they change is found, once, and put back; what the API server adds is no drift."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.manifests import names
from nightferry.steps.record.state import read_state

from tests.e2e.rollout_scene import SERVICE, RolloutScene

pytestmark = pytest.mark.sandbox

ENVIRONMENT = {
    "name": "production",
    "replicas": 1,
    "settings": {"SERVING_MAX_PIXELS": "50000000"},
    "secrets": ["drift-secret"],
    "resources": {"cpu": "0.1", "cpu_limit": "1000m", "memory": "268435456", "memory_limit": "1024Mi"},
    "placement": {"node_selector": {"kubernetes.io/os": "linux"}, "tolerations": [{"key": "spot"}]},
    "egress": [{"to": "10.0.0.0/8", "ports": [5432]}],
}


@pytest.fixture(scope="module")
def release(scene: RolloutScene) -> str:
    """What production serves, with all that a service file may ask for, some time after the switch."""
    scene.keep_secret("drift-secret", TOKEN="x")
    release = scene.released(**ENVIRONMENT, traffic=scene.traffic_by_gateway)
    until(scene, lambda row: not row["under_way"])
    return release


def said(scene: RolloutScene) -> tuple[int, dict[str, Any]]:
    """What the command says about production, and its exit code."""
    done = scene.nightferry("drift", SERVICE, "--environment", "production", "--json")
    assert done.stdout, done.stderr
    (row,) = json.loads(done.stdout)
    return done.returncode, row


def until(scene: RolloutScene, well: Any, seconds: float = 120) -> dict[str, Any]:
    """What the command says once that is so."""
    deadline = time.monotonic() + seconds
    while True:
        _, row = said(scene)
        if "error" not in row and well(row):
            return row
        assert time.monotonic() < deadline, row
        time.sleep(1)


def whats(row: dict[str, Any]) -> list[str]:
    return [one["what"] for one in row["drift"]]


def pod(**changes: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "service", **changes}]}}}}


def edit(scene: RolloutScene, release: str, what: str) -> None:
    """One change by hand."""
    deployment = names.object_name(release)
    changes: dict[str, tuple[str, str, dict[str, Any]]] = {
        "image": ("Deployment", deployment, pod(image=scene.crashing)),
        "replicas": ("Deployment", deployment, {"spec": {"replicas": 2}}),
        "variable SERVING_MAX_PIXELS": (
            "Deployment",
            deployment,
            pod(env=[{"name": "SERVING_MAX_PIXELS", "value": "1"}]),
        ),
        "variable EXTRA": ("Deployment", deployment, pod(env=[{"name": "EXTRA", "value": "hunter2"}])),
        "limit of memory": ("Deployment", deployment, pod(resources={"limits": {"memory": "900Mi"}})),
        "args": ("Deployment", deployment, pod(args=["--nonsense"])),
        "selector": ("Service", SERVICE, {"spec": {"selector": {names.VERSION: "digits-2026-11-21.1"}}}),
        "port 80": ("Service", SERVICE, {"spec": {"ports": [{"port": 80, "targetPort": "status"}]}}),
    }
    if what == "users":
        scene.cluster.patch("HTTPRoute", SERVICE, {"spec": {"rules": [{**rule_of(scene), "backendRefs": []}]}})
    else:
        scene.edit(*changes[what])


def rule_of(scene: RolloutScene) -> Any:
    """That of the route."""
    route = scene.cluster.get("HTTPRoute", SERVICE)
    assert route
    return route["spec"]["rules"][0]


EDITS = (
    *("image", "replicas", "variable SERVING_MAX_PIXELS", "selector", "users"),
    *(pytest.param(what, marks=pytest.mark.drill) for what in ("variable EXTRA", "limit of memory", "args", "port 80")),
)


def test_what_a_server_adds_is_no_drift(scene: RolloutScene, release: str) -> None:
    code, row = said(scene)
    assert (code, row["release"], row["drift"]) == (0, release, [])


@pytest.mark.parametrize("what", EDITS)
def test_hand_edits_are_found_and_put_back(scene: RolloutScene, release: str, what: str) -> None:
    before = len([entry for entry in scene.entries() if entry.kind == Kind.DRIFT])
    until(scene, lambda row: row["drift"] == [])
    edit(scene, release, what)

    code, row = said(scene)
    assert (code, whats(row)) == (1, [what])
    for _ in range(2):
        scene.nightferry("drift", SERVICE, "--environment", "production", "--record", "--by", "ana")
    put_back = scene.put_back("production")
    assert put_back.wait() == 0, put_back.lines

    until(scene, lambda row: row["drift"] == [])
    told = [entry for entry in scene.entries() if entry.kind == Kind.DRIFT][before:]
    assert [entry.reason for entry in told] == [Reason.DRIFTED, Reason.HEALED]
    assert "hunter2" not in "".join(entry.to_bytes().decode() for entry in told)
    assert read_state(scene.ledger, SERVICE).drifts == {}
    assert answers(scene) == release


def answers(scene: RolloutScene) -> str:
    """The release that users get, once the cluster's nodes have followed the Service."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return str(requests.get(f"{scene.address()}/version", timeout=5).json()["release"])
        except requests.RequestException:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_deployment_that_was_deleted_is_made_anew(scene: RolloutScene, release: str) -> None:
    until(scene, lambda row: row["drift"] == [])
    scene.cluster.delete("Deployment", names.object_name(release))
    assert whats(until(scene, lambda row: row["drift"])) == ["existence"]
    put_back = scene.put_back("production")
    assert put_back.wait() == 0, put_back.lines
    until(scene, lambda row: row["drift"] == [])
    assert answers(scene) == release


@pytest.mark.drill
def test_an_autoscaler_is_no_drift_and_a_rollout_goes_on_after_a_healing(scene: RolloutScene, release: str) -> None:
    """A release that was decided before the healing comes into use after it; its autoscaler may scale it."""
    plan = scene.plan(**ENVIRONMENT | {"autoscale": {"minimum": 1, "maximum": 3}})
    edit(scene, release, "selector")
    assert scene.put_back("production").wait() == 0
    deployer = scene.run("roll_out", plan)
    assert deployer.wait() == 0, deployer.lines
    assert scene.in_use() == plan.release
    until(scene, lambda row: not row["under_way"])
    scene.edit("Deployment", names.object_name(plan.release), {"spec": {"replicas": 2}})
    code, row = said(scene)
    assert (code, row["drift"]) == (0, [])
