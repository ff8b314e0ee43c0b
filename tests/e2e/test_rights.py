"""Who may do what in the cluster: Airflow's own user, the deployer's account, and every pod that would have its rights.

Pods that would be let in are asked for as a dry run: the cluster decides, and keeps nothing.
"""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nightferry import settings as settings_of
from nightferry.manifests import deployer_pods
from nightferry.sandbox.layout import Layout, Owner
from nightferry.settings import Settings

pytestmark = pytest.mark.sandbox

Pod = dict[str, Any]
FORBIDDEN = 403
ENVIRONMENTS = ("staging", "production")


@pytest.fixture(scope="module")
def settings() -> Settings:
    return settings_of.load()


@pytest.fixture(scope="module")
def namespace(settings: Settings) -> str:
    return settings.get("DEPLOYER_NAMESPACE") or deployer_pods.NAMESPACE


@pytest.fixture(scope="module")
def airflow(settings: Settings) -> Any:
    """The cluster, as Airflow sees it."""
    return user(settings, "airflow")


@pytest.fixture(scope="module")
def admin(settings: Settings) -> Any:
    """The cluster, as its owner sees it."""
    return user(settings, "admin")


def user(settings: Settings, name: str) -> Any:
    from kubernetes import config

    layout = Layout(root=settings.root, home=settings.home, owner=Owner.current())
    return config.new_client_from_config(str(layout.kubeconfig(name)))


@pytest.fixture
def pod(settings: Settings) -> Pod:
    """A deployer's pod as Airflow asks for it, which may run."""
    container = {
        "name": "base",
        "image": settings.require("DEPLOYER_IMAGE"),
        "args": ["retire", "--namespace", "staging", "--service", "rights-test"],
        "env": [{"name": name, "value": value} for name, value in deployer_pods.environment(settings.get).items()],
        "resources": {
            "requests": {"cpu": "10m", "memory": "64Mi"},
            "limits": {"cpu": "1", "memory": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "storage", "mountPath": deployer_pods.SECRET_FOLDER, "readOnly": True},
        ],
    }
    return {
        "metadata": {"name": f"rights-test-{uuid.uuid4().hex[:8]}", "labels": {"test": "rights"}},
        "spec": {
            "serviceAccountName": deployer_pods.SERVICE_ACCOUNT,
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
                {"name": "storage", "secret": {"secretName": deployer_pods.SECRET}},
            ],
        },
    }


def refused(call: Callable[[], Any]) -> str:
    """What the cluster says when it refuses to let somebody do something."""
    from kubernetes.client import ApiException

    with pytest.raises(ApiException) as raised:
        call()
    assert raised.value.status == FORBIDDEN, raised.value.body
    return str(raised.value.body)


def create(api: Any, namespace: str, pod: Pod, dry_run: str | None = "All") -> Any:
    from kubernetes import client

    return client.CoreV1Api(api).create_namespaced_pod(namespace, pod, dry_run=dry_run)


# What Airflow may start


def test_a_deployers_own_pod_is_let_in(airflow: Any, namespace: str, pod: Pod) -> None:
    assert create(airflow, namespace, pod).spec.service_account_name == deployer_pods.SERVICE_ACCOUNT


def test_a_pod_with_the_identity_that_azure_adds_is_let_in(airflow: Any, namespace: str, pod: Pod) -> None:
    """What the workload identity webhook adds: a token for Azure, in a place of its own."""
    source = {"serviceAccountToken": {"audience": "api://AzureADTokenExchange", "path": "token"}}
    pod["spec"]["volumes"].append({"name": "azure-identity-token", "projected": {"sources": [source]}})
    mount = {"name": "azure-identity-token", "mountPath": "/var/run/secrets/azure/tokens", "readOnly": True}
    container_of(pod)["volumeMounts"].append(mount)
    assert create(airflow, namespace, pod)


def container_of(pod: Pod) -> Pod:
    found: Pod = pod["spec"]["containers"][0]
    return found


def of_container(**changes: Any) -> Callable[[Pod], None]:
    return lambda pod: container_of(pod).update(changes)


def of_spec(**changes: Any) -> Callable[[Pod], None]:
    return lambda pod: pod["spec"].update(changes)


def another_digest(pod: Pod) -> None:
    container_of(pod)["image"] = container_of(pod)["image"].partition("@")[0] + "@sha256:" + "0" * 64


def a_tag(pod: Pod) -> None:
    container_of(pod)["image"] = container_of(pod)["image"].partition("@")[0] + ":latest"


def another_repository(pod: Pod) -> None:
    container_of(pod)["image"] = "example.org/deployer@" + container_of(pod)["image"].partition("@")[2]


def a_second_container(pod: Pod) -> None:
    pod["spec"]["containers"].append({**copy.deepcopy(container_of(pod)), "name": "second"})


def an_init_container(pod: Pod) -> None:
    pod["spec"]["initContainers"] = [{**copy.deepcopy(container_of(pod)), "name": "first"}]


def a_sidecar(pod: Pod) -> None:
    pod["spec"]["initContainers"] = [{**copy.deepcopy(container_of(pod)), "name": "side", "restartPolicy": "Always"}]


def a_variable(name: str, **given: Any) -> Callable[[Pod], None]:
    def change(pod: Pod) -> None:
        variables = container_of(pod)["env"]
        container_of(pod)["env"] = [one for one in variables if one["name"] != name] + [{"name": name, **given}]

    return change


def a_volume(source: dict[str, Any], name: str = "tmp") -> Callable[[Pod], None]:
    def change(pod: Pod) -> None:
        others = [one for one in pod["spec"]["volumes"] if one["name"] != name]
        pod["spec"]["volumes"] = [*others, {"name": name, **source}]

    return change


def a_mount(**given: Any) -> Callable[[Pod], None]:
    return lambda pod: container_of(pod)["volumeMounts"][0].update(given)


def of_the_account(source: dict[str, Any]) -> Callable[[Pod], None]:
    token = {"serviceAccountToken": {"path": "token"}}
    return a_volume({"projected": {"sources": [token, source]}}, name="kube-api-access-mine")


HOOK = {"exec": {"command": ["python3", "-c", "pass"]}}
WRONG: dict[str, Callable[[Pod], None]] = {
    "another digest": another_digest,
    "a tag": a_tag,
    "another repository": another_repository,
    "another account": of_spec(serviceAccountName="default"),
    "no account": lambda pod: pod["spec"].pop("serviceAccountName"),
    "another command": of_container(command=["python3", "-c", "pass"]),
    "another folder": of_container(workingDir="/tmp"),
    "another task": of_container(args=["probe", "--model", "/tmp"]),
    "no task": lambda pod: container_of(pod).pop("args"),
    "a second container": a_second_container,
    "an init container": an_init_container,
    "a sidecar": a_sidecar,
    "a hook at the start": of_container(lifecycle={"postStart": HOOK}),
    "a hook at the end": of_container(lifecycle={"preStop": HOOK}),
    "a liveness probe": of_container(livenessProbe=HOOK),
    "a readiness probe": of_container(readinessProbe=HOOK),
    "a startup probe": of_container(startupProbe=HOOK),
    "a variable of Python's": a_variable("PYTHONPATH", value="/tmp"),
    "another storage account": a_variable("NIGHTFERRY_STORAGE_URL", value="https://example.org"),
    "another record": a_variable("NIGHTFERRY_LEDGER", value="another"),
    "another authority": a_variable("AZURE_AUTHORITY_HOST", value="https://example.org"),
    "a variable from a secret": a_variable(
        "NIGHTFERRY_LEDGER", valueFrom={"secretKeyRef": {"name": "other", "key": "k"}}
    ),
    "a variable from the pod": a_variable("NIGHTFERRY_LEDGER", valueFrom={"fieldRef": {"fieldPath": "metadata.name"}}),
    "variables from a secret": of_container(envFrom=[{"secretRef": {"name": "other"}}]),
    "variables from a ConfigMap": of_container(envFrom=[{"configMapRef": {"name": "other"}}]),
    "another secret": a_volume({"secret": {"secretName": "other"}}, name="storage"),
    "a secret as tmp": a_volume({"secret": {"secretName": deployer_pods.SECRET}}),
    "a folder of the node": a_volume({"hostPath": {"path": "/"}}),
    "a volume claim": a_volume({"persistentVolumeClaim": {"claimName": "other"}}),
    "a ConfigMap": a_volume({"configMap": {"name": "other"}}),
    "a volume more": a_volume({"emptyDir": {}}, name="more"),
    "a secret beside the token": of_the_account({"secret": {"name": "other"}}),
    "a ConfigMap beside the token": of_the_account({"configMap": {"name": "other"}}),
    "a mount over the code": a_mount(mountPath="/app"),
    "a mount of a part": a_mount(subPath="x"),
    "the node's network": of_spec(hostNetwork=True),
    "the node's processes": of_spec(hostPID=True),
    "the node's shared memory": of_spec(hostIPC=True),
    "names of its own": of_spec(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["digits.staging.svc"]}]),
    "another name server": of_spec(dnsPolicy="None", dnsConfig={"nameservers": ["10.0.0.1"]}),
    "another name server too": of_spec(dnsConfig={"nameservers": ["10.0.0.1"]}),
    "a node": of_spec(nodeName="nightferry"),
    "a priority of the system's": of_spec(priorityClassName="system-cluster-critical"),
    "starting again": of_spec(restartPolicy="Always"),
    "rights of root": of_container(securityContext={"runAsUser": 0}),
}


@pytest.mark.parametrize("who", ["airflow", "admin"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_pod_that_is_no_deployer_is_refused(
    wrong: str, who: str, request: pytest.FixtureRequest, namespace: str, pod: Pod
) -> None:
    """Also when the cluster's owner asks: whoever could would have the deployer's rights."""
    api = request.getfixturevalue(who)
    create(api, namespace, pod)  # the control: as it is, it is let in
    WRONG[wrong](pod)
    refused(lambda: create(api, namespace, pod))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_airflow_starts_nothing_in_an_environment(airflow: Any, pod: Pod, environment: str) -> None:
    pod["spec"]["serviceAccountName"] = "default"
    refused(lambda: create(airflow, environment, pod))


# What becomes of a pod that runs


@pytest.fixture
def running(airflow: Any, namespace: str, pod: Pod) -> Iterator[str]:
    """A deployer's pod that Airflow has started."""
    from kubernetes import client

    create(airflow, namespace, pod, dry_run=None)
    name = pod["metadata"]["name"]
    yield name
    client.CoreV1Api(airflow).delete_namespaced_pod(name, namespace, grace_period_seconds=0)


def test_a_deployer_stays_as_it_was_made(admin: Any, airflow: Any, namespace: str, running: str) -> None:
    from kubernetes import client

    def patch(api: Any, spec: Pod) -> Any:
        return client.CoreV1Api(api).patch_namespaced_pod(running, namespace, {"spec": spec})

    for api in (airflow, admin):
        found = client.CoreV1Api(api).read_namespaced_pod(running, namespace)
        image = found.spec.containers[0].image.partition("@")[0] + "@sha256:" + "0" * 64
        refused(lambda: patch(api, {"containers": [{"name": "base", "image": image}]}))  # noqa: B023
        refused(lambda: patch(api, {"activeDeadlineSeconds": 1}))  # noqa: B023
        # The control: its labels are Airflow's.
        labels = {"metadata": {"labels": {"looked-at": "yes"}}}
        assert client.CoreV1Api(api).patch_namespaced_pod(running, namespace, labels)


def test_nobody_enters_a_deployer(admin: Any, airflow: Any, namespace: str, running: str) -> None:
    from kubernetes import client

    for api in (airflow, admin):
        core = client.CoreV1Api(api)
        limits = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        added = {"name": "debug", "image": "debug", "command": ["sh"], "securityContext": limits}
        body = {"spec": {"ephemeralContainers": [added]}}
        said = [
            refused(lambda: core.patch_namespaced_pod_ephemeralcontainers(running, namespace, body)),  # noqa: B023
            refused(lambda: connect(api, namespace, running, "exec?command=sh&container=base&stdout=true")),  # noqa: B023
            refused(lambda: connect(api, namespace, running, "attach?container=base&stdout=true")),  # noqa: B023
            refused(lambda: connect(api, namespace, running, "portforward?ports=8080")),  # noqa: B023
            refused(lambda: connect(api, namespace, running, "proxy")),  # noqa: B023
        ]
        if api is admin:  # who has every right: here the policy alone refuses
            assert [one for one in said if "nightferry-deployer-pods-stay" not in one] == []


def connect(api: Any, namespace: str, pod: str, what: str) -> Any:
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/{what}"
    method = "GET" if what == "proxy" else "POST"
    return api.call_api(path, method, auth_settings=["BearerToken"], _preload_content=False)


def test_airflow_reads_what_its_deployers_write_and_removes_them(airflow: Any, namespace: str, running: str) -> None:
    from kubernetes import client

    core = client.CoreV1Api(airflow)
    until = time.monotonic() + 60
    while core.read_namespaced_pod(running, namespace).status.phase not in {"Succeeded", "Failed"}:
        assert time.monotonic() < until, "the deployer did not end"
        time.sleep(0.25)
    assert "deployer" in core.read_namespaced_pod_log(running, namespace)
    assert core.list_namespaced_event(namespace, field_selector=f"involvedObject.name={running}")


# What else Airflow may do, and what a deployer may


def test_airflow_looks_at_environments_and_changes_nothing(airflow: Any) -> None:
    from kubernetes import client

    core, apps = client.CoreV1Api(airflow), client.AppsV1Api(airflow)
    for environment in ENVIRONMENTS:
        assert core.list_namespaced_service(environment).items is not None
        assert apps.list_namespaced_deployment(environment).items is not None
        assert core.list_namespaced_pod(environment).items is not None
        refused(lambda: core.delete_namespaced_pod("x", environment))  # noqa: B023
        refused(lambda: core.list_namespaced_secret(environment))  # noqa: B023
        refused(lambda: core.delete_namespaced_service("x", environment))  # noqa: B023
        refused(lambda: apps.patch_namespaced_deployment("x", environment, {"spec": {"replicas": 0}}))  # noqa: B023
        refused(lambda: client.CoordinationV1Api(airflow).delete_namespaced_lease("x", environment))  # noqa: B023


def test_airflow_cannot_give_itself_more(airflow: Any, namespace: str) -> None:
    from kubernetes import client

    core, rbac = client.CoreV1Api(airflow), client.RbacAuthorizationV1Api(airflow)
    policies = client.AdmissionregistrationV1Api(airflow)
    more = {"data": {"images": "example.org/mine@sha256:" + "0" * 64}}
    token = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=["https://kubernetes"]))
    account = deployer_pods.SERVICE_ACCOUNT
    for environment in (namespace, *ENVIRONMENTS):
        refused(lambda: core.list_namespaced_secret(environment))  # noqa: B023
        refused(lambda: core.create_namespaced_service_account_token(account, environment, token))  # noqa: B023
        refused(lambda: rbac.list_namespaced_role_binding(environment))  # noqa: B023
    refused(lambda: core.patch_namespaced_config_map(deployer_pods.ALLOWED, namespace, more))
    refused(lambda: core.patch_namespace(namespace, {"metadata": {"labels": {"a": "b"}}}))
    for name in ("nightferry-deployer-pods", "nightferry-deployer-pods-stay"):
        refused(lambda: policies.delete_validating_admission_policy_binding(f"{name}.{namespace}"))  # noqa: B023


def test_a_deployer_works_in_the_environments_and_has_no_rights_in_its_own_namespace(
    admin: Any, namespace: str
) -> None:
    from kubernetes import client

    as_deployer = f"system:serviceaccount:{namespace}:{deployer_pods.SERVICE_ACCOUNT}"

    def may(where: str, verb: str, resource: str, group: str = "") -> bool:
        asked = {"namespace": where, "verb": verb, "resource": resource, "group": group}
        review = {"spec": {"user": as_deployer, "resourceAttributes": asked}}
        return bool(client.AuthorizationV1Api(admin).create_subject_access_review(review).status.allowed)

    assert may("staging", "patch", "deployments", "apps")
    assert may("production", "patch", "services")
    for verb in ("get", "create", "patch", "delete"):
        assert may("production", verb, "leases", "coordination.k8s.io")
        assert not may(namespace, verb, "leases", "coordination.k8s.io")
    assert not may("staging", "create", "pods")
    for resource in ("pods", "secrets", "configmaps", "serviceaccounts"):
        assert not may(namespace, "get", resource)
        assert not may("production", "get", resource)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_storage_accounts_secret_is_with_the_deployers_alone(admin: Any, namespace: str, environment: str) -> None:
    from kubernetes import client

    def secrets(where: str) -> set[str]:
        return {one.metadata.name for one in client.CoreV1Api(admin).list_namespaced_secret(where).items}

    assert deployer_pods.SECRET in secrets(namespace)
    assert deployer_pods.SECRET not in secrets(environment)
