"""What the manifests grant, and what the sandbox brings its cluster to. What the policies refuse is in tests/e2e."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nightferry.manifests import deployer_pods, trial
from nightferry.sandbox.kubernetes import cluster_objects
from nightferry.sandbox.kubernetes.cluster_objects import MANIFESTS, moved, objects
from nightferry.sandbox.supervise.kube_api import object_path

ENVIRONMENTS = ("production", "staging")


class Api:
    """An API server that remembers."""

    def __init__(self) -> None:
        self.applied: dict[str, dict[str, Any]] = {}
        self.removed: list[str] = []

    def apply(self, thing: dict[str, Any]) -> None:
        self.applied[object_path(thing)] = thing

    def remove(self, thing: dict[str, Any]) -> None:
        self.removed.append(object_path(thing))


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [thing for thing in objects() if thing["kind"] == kind]


def rules(kind: str, role: str) -> list[dict[str, Any]]:
    return next(thing["rules"] for thing in of_kind(kind) if thing["metadata"]["name"] == role)


PLACES = [*ENVIRONMENTS, "nightferry-trial"]
"""Where releases are brought up: namespaces in the order of the files that make them."""
ROLES = [
    ("ClusterRole", "nightferry-deployer"),
    ("ClusterRole", "nightferry-airflow"),
    ("Role", "nightferry-airflow-deployers"),
    ("Role", "nightferry-trial"),
]


def test_staging_and_production_differ_in_their_name_alone() -> None:
    staging, production = ((MANIFESTS / "cluster" / f"{name}.yaml").read_text() for name in ("staging", "production"))
    assert staging.replace("staging", "production") == production


def test_every_namespace_is_under_restricted_pod_security() -> None:
    for namespace in of_kind("Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert [one["metadata"]["name"] for one in of_kind("Namespace")] == ["nightferry", *PLACES]


def test_the_deployer_has_rights_in_the_environments_and_none_where_it_runs() -> None:
    accounts = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in of_kind("ServiceAccount")}
    assert accounts == {("nightferry", "nightferry-deployer")}
    bound = {
        one["metadata"]["namespace"]
        for one in of_kind("RoleBinding")
        for subject in one["subjects"]
        if (subject.get("namespace"), subject["name"]) in accounts
    }
    assert bound == set(PLACES)
    assert {thing["roleRef"]["name"] for thing in of_kind("ClusterRoleBinding")} == {
        "nightferry-contour",
        "nightferry-coredns",
    }


def test_a_deployer_may_hold_leases_and_airflow_may_not() -> None:
    def verbs(role: str) -> set[str]:
        return {verb for rule in rules("ClusterRole", role) if "leases" in rule["resources"] for verb in rule["verbs"]}

    assert verbs("nightferry-deployer") == {"get", "create", "patch", "delete"}
    assert verbs("nightferry-airflow") == set()


def test_what_is_tried_is_bounded_and_kept_to_itself() -> None:
    there = [one for one in objects() if one["metadata"].get("namespace") == trial.NAMESPACE]
    quotas = {one["metadata"]["name"]: one["spec"] for one in there if one["kind"] == "ResourceQuota"}
    pods = {"pods", "requests.cpu", "requests.memory"}
    assert quotas["nightferry-trial"]["hard"].keys() == quotas["nightferry-previews"]["hard"].keys() == pods
    assert quotas["nightferry-previews"]["scopes"] == ["Terminating"]
    assert quotas["nightferry-preview-places"]["hard"] == {"count/jobs.batch": "3"}
    (policy,) = [one["spec"] for one in there if one["kind"] == "NetworkPolicy"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize(("kind", "role"), ROLES)
def test_nobody_reads_secrets_or_gets_everything(kind: str, role: str) -> None:
    granted = {resource for rule in rules(kind, role) for resource in rule["resources"]}
    verbs = {verb for rule in rules(kind, role) for verb in rule["verbs"]}
    assert granted & {"*", "secrets", "serviceaccounts", "serviceaccounts/token", "roles", "rolebindings"} == set()
    assert granted & {"pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers", "configmaps"} == set()
    assert verbs & {"*", "impersonate", "bind", "escalate"} == set()
    assert {group for rule in rules(kind, role) for group in rule["apiGroups"]} & {"*"} == set()


@pytest.mark.parametrize(
    ("kind", "role", "changes"),
    [
        ("ClusterRole", "nightferry-airflow", set()),
        ("Role", "nightferry-airflow-deployers", {"pods"}),
        ("Role", "nightferry-previews", set()),
    ],
)
def test_airflow_changes_nothing_but_the_deployers_pods(kind: str, role: str, changes: set[str]) -> None:
    changed = {
        r for rule in rules(kind, role) for r in rule["resources"] if set(rule["verbs"]) - {"get", "list", "watch"}
    }
    assert changed == changes


def test_routes_are_the_deployers_to_write_and_gateways_are_not() -> None:
    of_deployer, of_airflow = (
        {resource: set(rule["verbs"]) for rule in rules("ClusterRole", role) for resource in rule["resources"]}
        for role in ("nightferry-deployer", "nightferry-airflow")
    )
    assert of_deployer["httproutes"] == {"get", "list", "create", "patch", "update", "delete"}
    assert of_airflow["httproutes"] == {"get", "list"}
    assert not {"gateways", "gatewayclasses", "httproutes/status"} & {*of_deployer, *of_airflow}


def test_airflow_is_bound_to_its_role_for_deployers_where_they_run_alone() -> None:
    bound = {
        (one["metadata"]["namespace"], one["roleRef"]["name"])
        for one in of_kind("RoleBinding")
        if one["subjects"][0]["name"] == "nightferry-airflow"
    }
    assert bound == {
        ("nightferry", "nightferry-airflow-deployers"),
        ("staging", "nightferry-airflow"),
        ("nightferry-trial", "nightferry-airflow"),
        ("nightferry-trial", "nightferry-previews"),
        ("production", "nightferry-airflow"),
    }


def test_the_policies_fail_closed_and_hold_for_whoever_asks() -> None:
    bindings = {one["spec"]["policyName"]: one["spec"] for one in of_kind("ValidatingAdmissionPolicyBinding")}
    for policy in of_kind("ValidatingAdmissionPolicy"):
        assert policy["spec"]["failurePolicy"] == "Fail"
        assert "matchConditions" not in policy["spec"]
        binding = bindings.pop(policy["metadata"]["name"])
        assert binding["validationActions"] == ["Deny"]
        assert binding["matchResources"] == {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "nightferry"}}
        }
        if "paramKind" in policy["spec"]:
            where = {"name": deployer_pods.ALLOWED, "namespace": "nightferry", "parameterNotFoundAction": "Deny"}
            assert binding["paramRef"] == where
    assert bindings == {}


def test_every_object_has_a_path() -> None:
    given = [deployer_pods.storage_secret("x"), deployer_pods.allowed("x", {})]
    paths = [object_path(thing) for thing in [*objects(), *given]]
    assert len(set(paths)) == len(paths)
    assert "/api/v1/namespaces/staging" in paths
    assert "/api/v1/namespaces/nightferry/secrets/nightferry-storage" in paths
    assert "/apis/rbac.authorization.k8s.io/v1/namespaces/production/rolebindings/nightferry-airflow" in paths


def test_namespaces_come_before_what_is_in_them() -> None:
    kinds = [thing["kind"] for thing in objects()]
    assert kinds[:3] == ["Namespace"] * 3


def test_the_objects_are_json() -> None:
    """The API server is sent JSON: no YAML date or the like may be among them."""
    assert json.loads(json.dumps(objects())) == objects()


def test_the_storage_accounts_secret_is_with_the_deployers_alone() -> None:
    api = Api()
    cluster_objects.apply(api, "the connection string")  # type: ignore[arg-type]

    holding = [path for path, thing in api.applied.items() if "the connection string" in json.dumps(thing)]
    assert holding == ["/api/v1/namespaces/nightferry/secrets/nightferry-storage"]
    for environment in ENVIRONMENTS:  # where it was in the versions before
        assert f"/api/v1/namespaces/{environment}/secrets/nightferry-storage" in api.removed
        assert f"/api/v1/namespaces/{environment}/serviceaccounts/nightferry-deployer" in api.removed
    assert not set(api.removed) & set(api.applied)


def test_a_new_deployer_image_takes_the_place_of_the_one_before() -> None:
    api = Api()
    for digest in ("1", "2"):
        image = f"registry.example/deployer@sha256:{digest * 64}"
        cluster_objects.allow_deployer(api, image, {"NIGHTFERRY_LEDGER": "ledger", "A": "b=c"})  # type: ignore[arg-type]
    (allowed,) = api.applied.values()
    assert allowed["data"]["images"] == f"registry.example/deployer@sha256:{'2' * 64}"
    assert allowed["data"]["environment"].splitlines() == ["A=b=c", "NIGHTFERRY_LEDGER=ledger"]


def test_the_deployers_may_run_in_another_namespace() -> None:
    api = Api()
    cluster_objects.apply(api, "x", "elsewhere")  # type: ignore[arg-type]
    text = json.dumps(list(api.applied.values()))
    assert '"namespace": "nightferry"' not in text
    assert '"kubernetes.io/metadata.name": "nightferry"' not in text
    assert "/api/v1/namespaces/elsewhere" in api.applied
    assert "/api/v1/namespaces/elsewhere/secrets/nightferry-storage" in api.applied
    assert [moved(thing, "nightferry") for thing in objects()] == objects()


def test_a_deployer_is_given_what_it_needs_and_no_secret() -> None:
    settings = {
        "STORAGE_URL": "https://a",
        "LEDGER": "ledger",
        "STORAGE_CONNECTION_FILE": "/home/me/secret",
        "REGISTRY": "r",
        "SERVICE_TYPE": "",
    }
    assert deployer_pods.environment(settings.get) == {
        "NIGHTFERRY_STORAGE_URL": "https://a",
        "NIGHTFERRY_LEDGER": "ledger",
        "NIGHTFERRY_STORAGE_CONNECTION_FILE": "/var/run/secrets/nightferry/storage/connection-string",
    }


def test_a_deployer_finds_s3s_key_beside_the_storages_secret() -> None:
    settings = {"S3_URL": "http://a", "S3_REGION": "eu-north-1", "S3_KEY_FILE": "/home/me/key"}
    assert deployer_pods.environment(settings.get) == {
        "NIGHTFERRY_S3_URL": "http://a",
        "NIGHTFERRY_S3_REGION": "eu-north-1",
        "NIGHTFERRY_S3_KEY_FILE": "/var/run/secrets/nightferry/storage/s3-key",
    }
    held = deployer_pods.storage_secret(None, s3_key="the key")
    assert held["stringData"] == {"s3-key": "the key"}
    assert deployer_pods.storage_secret("x", s3_key="the key")["stringData"] == {
        "connection-string": "x",
        "s3-key": "the key",
    }
