"""A real cluster, through the official `kubernetes` client.

The objects travel as plain JSON: one way of calling serves every kind, and nothing of the client's own classes
leaks out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nightferry.clients.cluster import FIELD_MANAGER, ClusterConflict, Manifest
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from kubernetes.client.exceptions import ApiException

KINDS = {
    "Deployment": ("/apis/apps/v1", "deployments"),
    "Endpoints": ("/api/v1", "endpoints"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "Event": ("/api/v1", "events"),
    "HorizontalPodAutoscaler": ("/apis/autoscaling/v2", "horizontalpodautoscalers"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "Pod": ("/api/v1", "pods"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "ReplicaSet": ("/apis/apps/v1", "replicasets"),
    "Service": ("/api/v1", "services"),
}
_TIMEOUT = (5, 30)  # seconds to connect, to answer
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


class KubeCluster:
    """One namespace of the cluster behind `api_client`."""

    def __init__(self, api_client: ApiClient, namespace: str) -> None:
        self._api = api_client
        self._namespace = namespace

    @property
    def namespace(self) -> str:
        """The namespace that every name is looked up in."""
        return self._namespace

    def get(self, kind: str, name: str) -> Manifest | None:
        """The object, None when there is none."""
        return self._call("GET", kind, name)

    def list(
        self, kind: str, labels: Mapping[str, str] | None = None, fields: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        """The objects that carry these labels and these values at these field paths."""
        query = [
            (selector, ",".join(f"{name}={value}" for name, value in wanted.items()))
            for selector, wanted in (("labelSelector", labels), ("fieldSelector", fields))
            if wanted
        ]
        answer = self._call("GET", kind, query=query) or {}
        # A list leaves out what is the same for all of its members.
        return [{"kind": kind, **found} for found in answer.get("items") or []]

    def create(self, manifest: Manifest) -> Manifest | None:
        """Create the object; None when the name is taken."""
        # Another field manager than apply's, so that what apply sets stays apply's to take away.
        query = [("fieldManager", f"{FIELD_MANAGER}-create")]
        try:
            return self._call("POST", manifest["kind"], query=query, body=manifest)
        except ClusterConflict:
            return None

    def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply, as the only owner of the manifest's fields."""
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]
        name = manifest["metadata"]["name"]
        applied = self._call("PATCH", manifest["kind"], name, query=query, body=manifest, content_type=_APPLY)
        if applied is None:
            raise ClusterConflict(Reason.CLUSTER_UNAVAILABLE, f"{self._what(manifest['kind'], name)} is gone.")
        return applied

    def patch(self, kind: str, name: str, changes: Manifest) -> Manifest | None:
        """Merge `changes` into the object; None when there is no object."""
        query = [("fieldManager", FIELD_MANAGER)]
        return self._call("PATCH", kind, name, query=query, body=changes, content_type=_MERGE)

    def delete(self, kind: str, name: str, resource_version: str | None = None) -> bool:
        """Delete the object and, in the background, what it owns; whether it was there."""
        options: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if resource_version:
            options["preconditions"] = {"resourceVersion": resource_version}
        return self._call("DELETE", kind, name, body=options) is not None

    def last_words(self, pod: str, lines: int = 10) -> str:
        """The last lines of a pod's log; empty when there are none to be had."""
        for previous in ("true", "false"):
            query = [("tailLines", str(lines)), ("previous", previous)]
            # A pod that never started has no log, and no log must not hide what was wrong with the pod.
            with suppress(NightferryError):
                words = self._send("GET", f"{self._path('Pod', pod)}/log", query, None, None).decode(errors="replace")
                if words.strip():
                    return words.strip()
        return ""

    def _call(
        self,
        method: str,
        kind: str,
        name: str | None = None,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Manifest | None = None,
        content_type: str | None = None,
    ) -> Manifest | None:
        try:
            content = self._send(method, self._path(kind, name), query, body, content_type)
        except _Missing:
            return None
        answer = json.loads(content)
        return answer if isinstance(answer, dict) else None

    def _path(self, kind: str, name: str | None) -> str:
        prefix, plural = KINDS[kind]
        return f"{prefix}/namespaces/{self._namespace}/{plural}" + (f"/{name}" if name else "")

    def _send(
        self, method: str, path: str, query: Sequence[tuple[str, str]], body: Manifest | None, content_type: str | None
    ) -> bytes:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json, */*", "Content-Type": content_type or "application/json"}
        try:
            answer = self._api.call_api(
                path,
                method,
                query_params=list(query),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=_TIMEOUT,
            )
            return bytes(answer.data)
        except ApiException as fault:
            raise self._translated(fault, method, path) from fault
        except (HTTPError, OSError) as fault:
            raise Temporary(
                Reason.CLUSTER_UNAVAILABLE,
                f"The cluster at {self._api.configuration.host} did not answer ({type(fault).__name__}); "
                "check that it runs and that this machine reaches it.",
            ) from fault

    def _translated(self, fault: ApiException, method: str, path: str) -> NightferryError:
        status, said = int(fault.status or 0), _said(fault)
        where = f"{method} {path} in the cluster at {self._api.configuration.host}"
        if status == 404:
            return _Missing(Reason.ROLLOUT_REFUSED, f"{where}: {said}")
        if status == 409:
            return ClusterConflict(Reason.CLUSTER_UNAVAILABLE, f"{where} met another change: {said}")
        if status in (400, 422) or (status == 403 and "exceeded quota" in said):
            return Permanent(Reason.ROLLOUT_REFUSED, f"The cluster refused {where}: {said}")
        if status in (401, 403):
            return Permanent(
                Reason.CLUSTER_DENIED, f"{where} is not allowed: {said} Check the credentials and the Role they carry."
            )
        return Temporary(Reason.CLUSTER_UNAVAILABLE, f"{where} failed with status {status}: {said}")

    def _what(self, kind: str, name: str) -> str:
        return f"{kind} {name} in namespace {self._namespace}"


class _Missing(Permanent):
    """The API server answered 404."""


def _said(fault: ApiException) -> str:
    """What the API server said, as one sentence."""
    body: Any = fault.body
    with suppress(ValueError, TypeError, AttributeError):
        body = json.loads(body).get("message")
    text = " ".join(str(body or fault.reason or "no reason given").split())[:1000]
    return text if text.endswith(".") else f"{text}."
