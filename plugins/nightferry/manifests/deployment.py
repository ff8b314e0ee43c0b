"""The Deployment of one release: it never changes, since another release has another one."""

from __future__ import annotations

from typing import Any

from nightferry.entities.app.variables import HOME, variables
from nightferry.entities.pod_state import CONTAINER
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_file.pod_needs import OS, Placement
from nightferry.entities.service_file.quantity import memory
from nightferry.entities.service_spec import Environment
from nightferry.manifests import names

USER = 65532
SCRATCH = "scratch"
DRAIN_SECONDS = 5
"""A pod that ends goes on answering this long, until every node knows not to send it more."""

START_SECONDS = 600
"""So long a pod may take to start before it is started anew, at least: it may share its node with a hundred others."""
LIVE_FAILURES = 12
"""So many looks, ten seconds apart, are not answered before a pod is started anew. The service itself replaces a
worker that hangs, and sooner."""


def deployment(plan: RolloutPlan, replicas: int | None = None) -> dict[str, Any]:
    """The Deployment; its pods keep to Pod Security `restricted`.

    Args:
        plan: the release and its environment.
        replicas: how many pods it starts with; None: as many as the service file says.
    """
    environment = plan.environment
    labels = names.labels(plan.service, plan.release)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": names.object_name(plan.release),
            "labels": labels,
            "annotations": names.identity(plan) | {names.ORDER: str(plan.order)},
        },
        "spec": {
            "replicas": replicas or wanted_replicas(environment),
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": environment.ready_seconds,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": names.selector(plan.service, plan.release)},
            "template": {
                "metadata": {"labels": labels, "annotations": names.identity(plan) | names.scraping(plan)},
                "spec": _pod(plan),
            },
        },
    }


def wanted_replicas(environment: Environment) -> int:
    """How many pods a release has where nothing was scaled."""
    return environment.autoscale.minimum if environment.autoscale else environment.replicas


def _pod(plan: RolloutPlan) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            # An image of its own Dockerfile names its user by number, which is not root.
            **({} if plan.app and plan.app.dockerfile else {"runAsUser": USER, "runAsGroup": USER}),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": names.selector(plan.service, plan.release)},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        "containers": [_container(plan)],
        **_scratch(plan),
        **_placement(plan.environment.placement),
    }


def _placement(placement: Placement) -> dict[str, Any]:
    """On Linux nodes alone, also where a pool of others has no taint that would keep pods away."""
    wanted: dict[str, Any] = {"nodeSelector": {OS: "linux", **placement.node_selector}}
    if placement.tolerations:
        wanted["tolerations"] = [
            {name: value for name, value in one.to_json().items() if value} for one in placement.tolerations
        ]
    return wanted


def _container(plan: RolloutPlan) -> dict[str, Any]:
    resources, secrets = plan.environment.resources, plan.environment.secrets
    return {
        "name": CONTAINER,
        "image": plan.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": name, "containerPort": port} for name, port in names.ports(plan).items()],
        "env": [
            {"name": name, "value": value}
            for name, value in (variables(plan.app, plan.environment) | names.passport(plan)).items()
        ],
        **({"envFrom": [{"secretRef": {"name": name}} for name in secrets]} if secrets else {}),
        "resources": {
            "requests": {
                "cpu": resources.cpu,
                "memory": resources.memory,
                "ephemeral-storage": _storage(resources.ephemeral_storage, plan),
            },
            "limits": {
                "cpu": resources.cpu_limit,
                "memory": resources.memory_limit,
                "ephemeral-storage": _storage(resources.ephemeral_storage_limit, plan),
            },
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **_probes(plan),
        **({"volumeMounts": [{"name": SCRATCH, "mountPath": HOME}]} if plan.app else {}),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        # A crashed pod's status then holds its last words.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _probes(plan: RolloutPlan) -> dict[str, Any]:
    # Who waits for a start that takes too long is the rollout, by `ready_seconds`. On a node whose processors are
    # taken, ending what is slow makes it slower: every start takes more of them than any answer.
    starting = max(START_SECONDS, plan.environment.ready_seconds)
    if plan.app:
        ready, live, port = plan.app.ready, plan.app.live, names.HTTP
    else:
        ready, live, port = "/readyz", "/livez", names.STATUS
    probes = {
        "startupProbe": _probe(ready, port, period=1, failures=starting),
        "readinessProbe": _probe(ready, port, period=2, failures=2),
    }
    if live:
        probes["livenessProbe"] = _probe(live, port, period=10, failures=LIVE_FAILURES, timeout=10)
    return probes


def _probe(path: str | None, port: str, period: int, failures: int, timeout: int = 2) -> dict[str, Any]:
    return {
        **({"httpGet": {"path": path, "port": port}} if path else {"tcpSocket": {"port": port}}),
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def _scratch(plan: RolloutPlan) -> dict[str, Any]:
    """The one folder that an app may write to; the stock service needs none."""
    if plan.app is None:
        return {}
    return {"volumes": [{"name": SCRATCH, "emptyDir": {"sizeLimit": plan.app.scratch}}]}


def _storage(quantity: str, plan: RolloutPlan) -> str:
    """What a pod's log may take, and beside it what an app may write."""
    return str(memory(quantity) + memory(plan.app.scratch)) if plan.app else quantity
