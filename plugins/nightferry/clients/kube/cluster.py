"""A real cluster, through the official `kubernetes` client.

The objects travel as plain JSON: one way of calling serves every kind, and nothing of the client's own classes
leaks out. The kinds are written down here (ADR 0014): asking the API server for them would cost each deployer pod
some twenty requests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from nightferry.clients.cluster_faults import cluster_fault, missing_kind
from nightferry.clients.doors.cluster import FIELD_MANAGER, ClusterAway, ClusterConflict, Manifest
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from kubernetes.client.exceptions import ApiException
    from kubernetes.dynamic import Resource

KINDS = {
    "Deployment": ("apps", "v1", "deployments"),
    "Endpoints": ("", "v1", "endpoints"),
    "EndpointSlice": ("discovery.k8s.io", "v1", "endpointslices"),
    "Event": ("", "v1", "events"),
    "HTTPRoute": ("gateway.networking.k8s.io", "v1", "httproutes"),
    "HorizontalPodAutoscaler": ("autoscaling", "v2", "horizontalpodautoscalers"),
    "Job": ("batch", "v1", "jobs"),
    "Lease": ("coordination.k8s.io", "v1", "leases"),
    "NetworkPolicy": ("networking.k8s.io", "v1", "networkpolicies"),
    "Pod": ("", "v1", "pods"),
    "PodDisruptionBudget": ("policy", "v1", "poddisruptionbudgets"),
    "ReplicaSet": ("apps", "v1", "replicasets"),
    "ResourceQuota": ("", "v1", "resourcequotas"),
    "Service": ("", "v1", "services"),
}
"""API group, version and plural of the kinds that a release meets."""
INSTALLED = ("HTTPRoute",)
"""Those of them that a cluster knows only where somebody installed them."""
_TIMEOUT = (5, 30)  # seconds to connect, to answer
_MERGE = "application/merge-patch+json"


class KubeCluster:
    """One namespace of the cluster behind `api_client`."""

    def __init__(self, api_client: ApiClient, namespace: str) -> None:
        from kubernetes.dynamic import DynamicClient

        self._host = api_client.configuration.host
        self._client = DynamicClient(api_client, discoverer=_no_discovery)
        self._namespace = namespace

    @property
    def namespace(self) -> str:
        """The namespace that every name is looked up in."""
        return self._namespace

    def get(self, kind: str, name: str) -> Manifest | None:
        """The object, None when there is none."""
        return self._found(self._client.get, kind, name)

    def list(
        self, kind: str, labels: Mapping[str, str] | None = None, fields: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        """The objects that carry these labels and these values at these field paths."""
        answer = self._found(
            self._client.get, kind, None, label_selector=_selector(labels), field_selector=_selector(fields)
        )
        # A list leaves out what is the same for all of its members.
        return [{"kind": kind, **found} for found in (answer or {}).get("items") or []]

    def create(self, manifest: Manifest) -> Manifest | None:
        """Create the object; None when the name is taken."""
        # Another field manager than apply's, so that what apply sets stays apply's to take away.
        call = partial(self._client.create, body=manifest, field_manager=f"{FIELD_MANAGER}-create")
        try:
            return self._call(call, manifest["kind"], None)
        except _Taken:
            return None

    def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply, as the only owner of the manifest's fields."""
        call = partial(
            self._client.server_side_apply, body=manifest, field_manager=FIELD_MANAGER, force_conflicts="true"
        )
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        try:
            return self._call(call, kind, name)
        except _Missing as fault:
            what = f"{kind} {name} in namespace {self._namespace}"
            raise ClusterConflict(Reason.CLUSTER_UNAVAILABLE, f"{what} is gone.") from fault

    def patch(self, kind: str, name: str, changes: Manifest) -> Manifest | None:
        """Merge `changes` into the object; None when there is no object."""
        return self._found(
            self._client.patch, kind, name, body=changes, content_type=_MERGE, field_manager=FIELD_MANAGER
        )

    def delete(self, kind: str, name: str, resource_version: str | None = None) -> bool:
        """Delete the object and, in the background, what it owns; whether it was there."""
        options: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if resource_version:
            options["preconditions"] = {"resourceVersion": resource_version}
        return self._found(self._client.delete, kind, name, body=options) is not None

    def last_words(self, pod: str, lines: int = 10, container: str = "") -> str:
        """The last lines of a container's log; empty when there are none to be had."""
        path = f"{self._resource('Pod').path(pod, self._namespace)}/log"
        for previous in ("true", "false"):
            query = [("tailLines", str(lines)), ("previous", previous)]
            if container:
                query.append(("container", container))
            # A pod that never started has no log, and no log must not hide what was wrong with the pod.
            with suppress(NightferryError):
                said = self._send(partial(self._client.request, "GET", path, query_params=query), f"GET {path}")
                if said.strip():
                    return said.decode(errors="replace").strip()
        return ""

    def _found(self, call: Callable[..., Any], kind: str, name: str | None, **options: Any) -> Manifest | None:
        try:
            return self._call(partial(call, **options), kind, name)
        except _Missing:
            return None

    def _call(self, call: partial[Any], kind: str, name: str | None) -> Manifest:
        resource = self._resource(kind)
        named = {"name": name} if name else {}
        where = f"{call.func.__name__} {resource.path(name, self._namespace)}"
        try:
            content = self._send(partial(call, resource, namespace=self._namespace, **named), where)
        except _Missing as fault:
            # Of an object that is not there the server says so; of a kind that it does not know there is no page.
            if kind in INSTALLED and not fault.of_an_object:
                raise missing_kind(kind, f"{where} in the cluster at {self._host}") from fault
            raise
        try:
            answer: Manifest = json.loads(content)
        except ValueError as fault:
            text = content.decode(errors="replace")[:200]
            raise ClusterAway(
                Reason.CLUSTER_UNAVAILABLE, f"The cluster at {self._host} answered no JSON to {where}: {text!r}."
            ) from fault
        return answer

    def _resource(self, kind: str) -> Resource:
        from kubernetes.dynamic import Resource

        group, version, plural = KINDS[kind]
        return Resource("apis" if group else "api", group, version, kind, namespaced=True, name=plural)

    def _send(self, call: Callable[..., Any], where: str) -> bytes:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return bytes(call(serialize=False, _request_timeout=_TIMEOUT).data)
        except ApiException as fault:
            raise self._translated(fault, where) from fault
        except (HTTPError, OSError) as fault:
            raise ClusterAway(
                Reason.CLUSTER_UNAVAILABLE,
                f"The cluster at {self._host} did not answer ({type(fault).__name__}); "
                "check that it runs and that this machine reaches it.",
            ) from fault

    def _translated(self, fault: ApiException, where: str) -> NightferryError:
        status, (said, reason) = int(fault.status or 0), _said(fault)
        where = f"{where} in the cluster at {self._host}"
        if status == 404 and not said.startswith("namespaces "):
            return _Missing(Reason.ROLLOUT_REFUSED, f"{where}: {said}", of_an_object=reason == "NotFound")
        if status == 409 and reason == "AlreadyExists":
            return _Taken(Reason.CLUSTER_UNAVAILABLE, f"{where}: {said}")
        return cluster_fault(status, said, where, _retry_after(fault))


class _Missing(Permanent):
    """The API server answered 404."""

    def __init__(self, reason: Reason, sentence: str, *, of_an_object: bool) -> None:
        super().__init__(reason, sentence)
        self.of_an_object = of_an_object


class _Taken(ClusterConflict):
    """There is an object of that name already."""


def _no_discovery(client: object, cache_file: object) -> None:
    """Stands in the place of the client's discovery: the kinds are known."""


def _selector(wanted: Mapping[str, str] | None) -> str | None:
    return ",".join(f"{name}={value}" for name, value in wanted.items()) if wanted else None


def _said(fault: ApiException) -> tuple[str, str]:
    """What the API server said, as one sentence, and its word for the reason."""
    body: Any = fault.body
    reason = ""
    with suppress(ValueError, TypeError, AttributeError):
        status = json.loads(body)
        body, reason = status.get("message"), str(status.get("reason") or "")
    text = " ".join(str(body or fault.reason or "no reason given").split())[:1000]
    return text if text.endswith(".") else f"{text}.", reason


def _retry_after(fault: ApiException) -> float:
    """The seconds that the server asked to be left alone; 0 when it did not say so in seconds."""
    with suppress(ValueError, TypeError, AttributeError):
        return max(0.0, float(fault.headers.get("Retry-After", 0)))
    return 0.0
