"""The objects of a service: what Kubernetes' own models say of them, and Pod Security `restricted`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from nightferry import manifests
from nightferry.entities.app.contract import AppContract
from nightferry.manifests import names, policies, service
from nightferry.manifests.deployment import deployment

from tests.fakes.worlds.rollout_world import plan

AUTOSCALE = {"minimum": 2, "maximum": 4}
RANGES = ("10.1.0.0/16",)
NEEDS = {
    "secrets": ["churn-database", "api.keys"],
    "egress": [{"to": "10.0.0.0/8", "ports": [5432, 5433]}, {"to": "2001:db8::/32", "ports": [443]}],
    "placement": {
        "node_selector": {"pool": "services"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}, {"key": "team", "value": "crm"}],
    },
}
FOUND = {"metadata": {"uid": "u", "resourceVersion": "7"}}
MODELS = {
    "Deployment": "V1Deployment",
    "Service": "V1Service",
    "PodDisruptionBudget": "V1PodDisruptionBudget",
    "HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler",
    "NetworkPolicy": "V1NetworkPolicy",
}


def objects() -> list[dict[str, Any]]:
    full = plan(
        autoscale=AUTOSCALE, dns_label="digits-team", service_type="LoadBalancer", source_ranges=RANGES, **NEEDS
    )
    made = deployment(full)
    known = {**made, "metadata": {**made["metadata"], "uid": "1"}}
    notes = {names.PREVIOUS: "digits-2026-11-20.1", names.SWITCHED: "2026-11-21T01:00:00Z"}
    return [
        made,
        service.candidate("digits", names.identity(full)),
        service.unused("digits"),
        service.stable("digits", names.identity(full), full.environment, notes=notes, found=FOUND),
        policies.network_policy("digits"),
        policies.egress(known, full.environment.egress),
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
    per_release |= manifest["spec"].get("policyTypes") == ["Egress"]
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


@pytest.mark.parametrize(
    ("service_type", "ranges", "expected"),
    [(None, RANGES, ["10.1.0.0/16"]), (None, (), None), ("NodePort", RANGES, None)],
)
def test_a_load_balancer_lets_in_whom_the_file_names(
    service_type: str | None, ranges: tuple[str, ...], expected: list[str] | None
) -> None:
    made = plan(service_type=service_type, source_ranges=ranges)
    found = service.stable("digits", names.identity(made), made.environment, notes={}, found=FOUND)
    assert found["spec"].get("loadBalancerSourceRanges") == expected


def container(**changes: Any) -> dict[str, Any]:
    (found,) = deployment(plan().model_copy(update=changes))["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_the_service_files_settings_are_set_and_the_passport_stays_as_it_is() -> None:
    settings = {"SERVING_MAX_PIXELS": "5", "NIGHTFERRY_RELEASE": "another"}
    (found,) = deployment(plan(settings=settings))["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in found["env"]}
    assert variables == {"SERVING_MAX_PIXELS": "5", **names.passport(plan())}
    assert len(found["env"]) == len(variables)


def test_probes_and_scrapers_have_a_port_that_no_service_leads_to() -> None:
    stock = container()
    ports = {port["name"]: port["containerPort"] for port in stock["ports"]}
    assert ports == {"http": 8080, "status": 8081}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert stock[probe]["httpGet"]["port"] == "status"
    notes = deployment(plan())["spec"]["template"]["metadata"]["annotations"]
    assert (notes["prometheus.io/port"], notes["prometheus.io/path"]) == ("8081", "/metrics")
    for made in objects():
        if made["kind"] == "Service":
            assert [port["targetPort"] for port in made["spec"]["ports"]] == ["http"]


def test_the_image_listens_where_the_objects_say() -> None:
    recipe = (Path(__file__).parents[3] / "docker" / "serving" / "Dockerfile").read_text(encoding="utf-8")
    assert f"SERVING_STATUS_PORT={names.STATUS_PORT}" in recipe


APP = AppContract(port=5000, ready="/health", live="/live", scratch="32Mi", environment={"OMP_NUM_THREADS": "7"})


def test_an_app_of_its_own_is_probed_where_it_says() -> None:
    own = container(app=APP)
    assert own["ports"] == [{"name": "http", "containerPort": 5000}]
    paths = {own[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe")}
    assert (paths, own["livenessProbe"]["httpGet"]) == ({"/health"}, {"path": "/live", "port": "http"})
    made = deployment(plan().model_copy(update={"app": APP}))
    assert not any(name.startswith("prometheus.io/") for name in made["spec"]["template"]["metadata"]["annotations"])


def test_of_an_app_that_says_nothing_only_the_port_is_looked_at() -> None:
    own = container(app=AppContract())
    assert own["readinessProbe"]["tcpSocket"] == {"port": "http"}
    assert "livenessProbe" not in own


def test_an_app_may_write_to_its_scratch_and_nowhere_else() -> None:
    pod = deployment(plan().model_copy(update={"app": APP}))["spec"]["template"]["spec"]
    [own] = pod["containers"]
    assert pod["volumes"] == [{"name": "scratch", "emptyDir": {"sizeLimit": "32Mi"}}]
    assert own["volumeMounts"] == [{"name": "scratch", "mountPath": "/tmp"}]
    assert own["securityContext"]["readOnlyRootFilesystem"] is True
    assert own["resources"]["limits"]["ephemeral-storage"] == str((256 + 32) << 20)
    given = {one["name"]: one["value"] for one in own["env"]}
    assert given["HOME"] == "/tmp"
    assert "volumes" not in deployment(plan())["spec"]["template"]["spec"]


def test_libraries_of_an_app_start_as_many_threads_as_the_pod_has_processors() -> None:
    given = {one["name"]: one["value"] for one in container(app=AppContract())["env"]}
    assert {given[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"1"}
    # What the app's image says itself stays.
    assert "OMP_NUM_THREADS" not in {one["name"] for one in container(app=APP)["env"]}


def test_an_image_of_its_own_dockerfile_runs_as_its_own_user() -> None:
    own = plan().model_copy(update={"app": AppContract(dockerfile="Dockerfile")})
    context = deployment(own)["spec"]["template"]["spec"]["securityContext"]
    assert context["runAsNonRoot"] is True
    assert "runAsUser" not in context


def test_who_may_come_in() -> None:
    users, scrapers = policies.network_policy("digits")["spec"]["ingress"]
    # By their names: the release before and the one to come may have different ports.
    assert users == {"ports": [{"port": "http", "protocol": "TCP"}]}
    assert [port["port"] for port in scrapers["ports"]] == ["status"]
    assert scrapers["from"] == [
        {"namespaceSelector": {"matchLabels": {"nightferry.dev/scrapes": "true"}}},
        {"namespaceSelector": {"matchLabels": {"nightferry.dev/deployers": "true"}}},
    ]


def test_the_deployers_namespace_is_let_in_to_read_recorded_requests() -> None:
    file = Path(manifests.__file__).parent / "cluster" / "nightferry.yaml"
    found = yaml.safe_load_all(file.read_text(encoding="utf-8"))
    namespace = next(one for one in found if one and one["kind"] == "Namespace")
    assert namespace["metadata"]["labels"][names.DEPLOYERS] == "true"


def test_secrets_are_variables_and_none_of_them_is_named_where_there_are_none() -> None:
    environment = plan(**NEEDS).environment
    assert container(environment=environment)["envFrom"] == [
        {"secretRef": {"name": "churn-database"}},
        {"secretRef": {"name": "api.keys"}},
    ]
    assert "envFrom" not in container()


def test_pods_run_on_linux_nodes_of_the_kind_that_is_wanted() -> None:
    pod = deployment(plan(**NEEDS))["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "services"}
    assert pod["tolerations"] == [
        {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "team", "operator": "Equal", "value": "crm"},
    ]
    assert deployment(plan())["spec"]["template"]["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}


def test_a_release_may_go_out_where_the_file_says_and_no_other_release_may() -> None:
    made = deployment(plan(**NEEDS))
    known = {**made, "metadata": {**made["metadata"], "uid": "1"}}
    policy = policies.egress(known, plan(**NEEDS).environment.egress)
    dns, database, _ = policy["spec"]["egress"]
    assert database == {
        "to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "ports": [{"port": 5432, "protocol": "TCP"}, {"port": 5433, "protocol": "TCP"}],
    }
    assert {port["port"] for port in dns["ports"]} == {53}
    assert policy["spec"]["policyTypes"] == ["Egress"]
    assert policy["spec"]["podSelector"] == made["spec"]["selector"]
    (owner,) = policy["metadata"]["ownerReferences"]
    assert owner["name"] == made["metadata"]["name"]
    everybody = policies.network_policy("digits")["spec"]
    assert "Egress" in everybody["policyTypes"]
    assert "egress" not in everybody


def test_a_pod_asks_for_ephemeral_storage_and_has_a_limit() -> None:
    found = container()["resources"]
    assert found["requests"]["ephemeral-storage"] == "64Mi"
    assert found["limits"]["ephemeral-storage"] == "256Mi"


def test_two_releases_share_no_pods() -> None:
    one, other = (
        deployment(plan(release))["spec"]["selector"]["matchLabels"]
        for release in ("digits-2026-11-21.1", "digits-2026-11-21.2")
    )
    assert one != other


def test_long_names_fit() -> None:
    assert len(names.object_name("a" * 40 + "-2026-11-21.999")) <= 63


@pytest.mark.parametrize(
    ("app", "annotations"),
    [
        (None, {"prometheus.io/scrape": "true", "prometheus.io/port": "8081", "prometheus.io/path": "/metrics"}),
        (AppContract(), {}),
        (
            AppContract(port=9000, metrics="/numbers"),
            {"prometheus.io/scrape": "true", "prometheus.io/port": "9000", "prometheus.io/path": "/numbers"},
        ),
    ],
)
def test_what_counts_says_where_to_scrapers(app: AppContract | None, annotations: dict[str, str]) -> None:
    made = deployment(plan().model_copy(update={"app": app}))
    found = made["spec"]["template"]["metadata"]["annotations"]
    assert {name: value for name, value in found.items() if name.startswith("prometheus.io/")} == annotations
