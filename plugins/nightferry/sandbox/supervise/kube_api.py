"""The few requests that the sandbox itself makes to its API server.

Plain HTTPS instead of the client library: that takes longer to load than the cluster takes to answer.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nightferry.entities.reason import Reason
from nightferry.errors import Temporary
from nightferry.sandbox.supervise import asking

RESOURCES: Mapping[tuple[str, str], str] = {
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Namespace"): "namespaces",
    ("v1", "ResourceQuota"): "resourcequotas",
    ("v1", "Secret"): "secrets",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"): "validatingadmissionpolicies",
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"): "validatingadmissionpolicybindings",
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): "customresourcedefinitions",
    ("gateway.networking.k8s.io/v1", "Gateway"): "gateways",
    ("gateway.networking.k8s.io/v1", "GatewayClass"): "gatewayclasses",
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): "httproutes",
    ("networking.k8s.io/v1", "NetworkPolicy"): "networkpolicies",
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): "clusterroles",
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): "clusterrolebindings",
    ("rbac.authorization.k8s.io/v1", "Role"): "roles",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "rolebindings",
}
"""Where objects of a kind are; those that the sandbox's manifests hold."""
TIMEOUT = 20.0


class KubeApi:
    """An API server, seen by the holder of a certificate."""

    def __init__(self, server: str, client: tuple[str, str, str]) -> None:
        self._server = server
        self._client = client

    def apply(self, thing: Mapping[str, Any]) -> None:
        """Bring one object to what is given (server-side apply): made where missing, kept where equal.

        Raises:
            Temporary: (cluster_unavailable) the API server does not answer or refuses.
        """
        path = object_path(thing)
        status, answer = self._request("PATCH", f"{path}?fieldManager=nightferry-sandbox&force=true", thing)
        if status not in {200, 201}:
            name = f"{thing['kind']} {thing['metadata']['name']}"
            raise Temporary(Reason.CLUSTER_UNAVAILABLE, f"The cluster refused {name}: {answer.get('message', status)}")

    def remove(self, thing: Mapping[str, Any]) -> None:
        """See to it that the object is not there.

        Raises:
            Temporary: (cluster_unavailable) the API server does not answer or refuses.
        """
        status, answer = self._request("DELETE", object_path(thing))
        if status not in {200, 202, 404}:
            name = f"{thing['kind']} {thing['metadata']['name']}"
            raise Temporary(Reason.CLUSTER_UNAVAILABLE, f"The cluster keeps {name}: {answer.get('message', status)}")

    def serves(self, version: str, plural: str) -> bool:
        """Whether objects of a kind can be asked for by now: `gateway.networking.k8s.io/v1`, `httproutes`.

        Raises:
            Temporary: (cluster_unavailable) the API server does not answer.
        """
        status, _ = self._request("GET", f"/apis/{version}/{plural}?limit=1")
        return status == 200

    def node_problem(self, name: str, since: float) -> str | None:
        """What keeps a node from being ready, or None. Only what its kubelet said after `since` (Unix time) counts."""
        try:
            _, lease = self._request("GET", f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}")
            renewed = lease.get("spec", {}).get("renewTime")
            if renewed is None or datetime.fromisoformat(renewed).timestamp() < since:
                return "the node has not reported yet"
            _, node = self._request("GET", f"/api/v1/nodes/{name}")
        except Temporary as problem:
            return problem.sentence
        conditions = {c["type"]: c for c in node.get("status", {}).get("conditions", [])}
        ready = conditions.get("Ready", {})
        return None if ready.get("status") == "True" else ready.get("message") or "the node is not ready"

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        try:
            connection = asking.connect(self._server, asking.client_context(self._client), TIMEOUT)
            try:
                kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
                given = json.dumps(body) if body is not None else None
                connection.request(method, path, given, {"Content-Type": kind, "Accept": "application/json"})
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read() or b"{}")
            finally:
                connection.close()
        except (OSError, ssl.SSLError, http.client.HTTPException, ValueError) as problem:
            sentence = f"The API server at {self._server} does not answer: {asking.explain(problem)}."
            raise Temporary(Reason.CLUSTER_UNAVAILABLE, sentence) from problem


def object_path(thing: Mapping[str, Any]) -> str:
    """The path of an object on an API server."""
    version, kind, metadata = thing["apiVersion"], thing["kind"], thing["metadata"]
    group = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{group}{namespace}/{RESOURCES[version, kind]}/{metadata['name']}"
