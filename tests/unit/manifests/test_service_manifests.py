"""The objects of a service: what Kubernetes' own models say of them, and Pod Security `restricted`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubernetes import client
from nightferry.manifests import names, policies, service
from nightferry.manifests.deployment import deployment

from tests.fakes.rollout_world import plan

AUTOSCALE = {"minimum": 2, "maximum": 4}
FOUND = {"metadata": {"uid": "u", "resourceVersion": "7"}}
MODELS = {
    "Deployment": "V1Deployment",
    "Service": "V1Service",
    "PodDisruptionBudget": "V1PodDisruptionBudget",
    "HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler",
    "NetworkPolicy": "V1NetworkPolicy",
}


def objects() -> list[dict[str, Any]]:
    full = plan(autoscale=AUTOSCALE, dns_label="digits-team")
    made = deployment(full)
    known = {**made, "metadata": {**made["metadata"], "uid": "1"}}
    notes = {names.PREVIOUS: "digits-2026-11-20.1", names.SWITCHED: "2026-11-21T01:00:00Z"}
    return [
        made,
        service.candidate("digits", names.identity(full)),
        service.unused("digits"),
        service.stable("digits", names.identity(full), full.environment, notes=notes, found=FOUND),
        policies.network_policy("digits"),
        policies.disruption_budget(known),
        policies.autoscaler(known, full.environment.autoscale),
    ]


@pytest.mark.parametrize("manifest", objects(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_every_field_is_one_that_kubernetes_knows(manifest: dict[str, Any]) -> None:
    """The model drops fields that it does not know, and raises where a required one is missing."""

    class Answer:
        data = json.dumps(manifest)

    api = client.ApiClient()
    read = api.deserialize(Answer(), MODELS[manifest["kind"]])
    assert api.sanitize_for_serialization(read) == manifest


@pytest.mark.parametrize("manifest", objects(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_every_object_says_whose_it_is(manifest: dict[str, Any]) -> None:
    labels = manifest["metadata"]["labels"]
    assert labels[names.NAME] == "digits"
    assert labels[names.MANAGED_BY] == "nightferry"
    for value in labels.values():
        assert len(value) <= 63
    per_release = manifest["kind"] in ("Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler")
    assert (labels.get(names.VERSION) == "digits-2026-11-21.1") is per_release
    if per_release:
        assert set(manifest["metadata"]["annotations"]) >= set(names.IDENTITY)


def test_the_pods_keep_to_pod_security_restricted() -> None:
    pod = deployment(plan())["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    security = container["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False
    assert "volumes" not in pod


@pytest.mark.parametrize("ready_seconds", [5, 900])
def test_a_starved_node_does_not_start_its_pods_anew(ready_seconds: int) -> None:
    """A start takes more of the processors than any answer: forty pods that are ended for slowness never recover."""
    template = deployment(plan(ready_seconds=ready_seconds))["spec"]["template"]
    (container,) = template["spec"]["containers"]
    start, live = container["startupProbe"], container["livenessProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] >= max(600, ready_seconds)
    assert live["timeoutSeconds"] >= 10
    assert live["periodSeconds"] * live["failureThreshold"] >= 120


def test_a_pod_that_ends_drains_within_its_grace_period() -> None:
    pod = deployment(plan())["spec"]["template"]["spec"]
    sleep = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < sleep < pod["terminationGracePeriodSeconds"]


def test_the_image_is_named_by_digest() -> None:
    assert "@sha256:" in deployment(plan())["spec"]["template"]["spec"]["containers"][0]["image"]


def test_a_load_balancer_is_what_users_get_where_nothing_is_said() -> None:
    made = plan(service_type=None, dns_label="digits-team")
    found = service.stable("digits", names.identity(made), made.environment, notes={}, found=FOUND)
    assert found["spec"]["type"] == "LoadBalancer"
    label = found["metadata"]["annotations"]["service.beta.kubernetes.io/azure-dns-label-name"]
    assert label == "digits-team"


def test_two_releases_share_no_pods() -> None:
    one, other = (
        deployment(plan(release))["spec"]["selector"]["matchLabels"]
        for release in ("digits-2026-11-21.1", "digits-2026-11-21.2")
    )
    assert one != other


def test_long_names_fit() -> None:
    assert len(names.object_name("a" * 40 + "-2026-11-21.999")) <= 63
