"""What the manifests grant: each environment the same, and no more than a release needs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nightferry.sandbox.kubernetes.cluster_objects import MANIFESTS, objects, storage_secret
from nightferry.sandbox.supervise.kube_api import object_path


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [thing for thing in objects() if thing["kind"] == kind]


def rules(role: str) -> list[dict[str, Any]]:
    return next(thing["rules"] for thing in of_kind("ClusterRole") if thing["metadata"]["name"] == role)


def test_staging_and_production_differ_in_their_name_alone() -> None:
    staging, production = ((MANIFESTS / "cluster" / f"{name}.yaml").read_text() for name in ("staging", "production"))
    assert staging.replace("staging", "production") == production


def test_both_are_under_restricted_pod_security() -> None:
    for namespace in of_kind("Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert [namespace["metadata"]["name"] for namespace in of_kind("Namespace")] == ["production", "staging"]


def test_a_deployer_is_bound_in_its_own_namespace_alone() -> None:
    for binding in of_kind("RoleBinding"):
        for subject in binding["subjects"]:
            if subject["kind"] == "ServiceAccount":
                assert subject["namespace"] == binding["metadata"]["namespace"]
    bound = {thing["roleRef"]["name"] for thing in of_kind("ClusterRoleBinding")}
    assert bound == {"nightferry-coredns"}


@pytest.mark.parametrize("role", ["nightferry-deployer", "nightferry-airflow"])
def test_nobody_reads_secrets_or_gets_everything(role: str) -> None:
    granted = {resource for rule in rules(role) for resource in rule["resources"]}
    verbs = {verb for rule in rules(role) for verb in rule["verbs"]}
    assert granted & {"*", "secrets", "serviceaccounts", "serviceaccounts/token", "roles", "rolebindings"} == set()
    assert verbs & {"*", "impersonate", "bind", "escalate"} == set()
    assert {group for rule in rules(role) for group in rule["apiGroups"]} & {"*"} == set()


def test_airflow_changes_nothing_but_pods() -> None:
    changed = {
        r
        for rule in rules("nightferry-airflow")
        for r in rule["resources"]
        if set(rule["verbs"]) - {"get", "list", "watch"}
    }
    assert changed == {"pods"}


def test_every_object_has_a_path() -> None:
    paths = [object_path(thing) for thing in [*objects(), storage_secret("staging", "x")]]
    assert len(set(paths)) == len(paths)
    assert "/api/v1/namespaces/staging" in paths
    assert "/api/v1/namespaces/staging/secrets/nightferry-storage" in paths
    assert "/apis/rbac.authorization.k8s.io/v1/namespaces/production/rolebindings/nightferry-airflow" in paths


def test_namespaces_come_before_what_is_in_them() -> None:
    kinds = [thing["kind"] for thing in objects()]
    assert kinds[:2] == ["Namespace", "Namespace"]


def test_the_objects_are_json() -> None:
    """The API server is sent JSON: no YAML date or the like may be among them."""
    assert json.loads(json.dumps(objects())) == objects()
