"""What the sandbox's cluster holds for its gateway: its kinds, the Gateway `users`, a route that is always there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nightferry.entities.reason import Reason
from nightferry.entities.service_file.gateway import NAMESPACE
from nightferry.errors import Permanent
from nightferry.manifests import names
from nightferry.manifests.route import GROUP
from nightferry.sandbox.layout import DOMAIN
from nightferry.sandbox.supervise.kube_api import KubeApi

NAME = "users"
"""The Gateway's: a service file says `traffic: {gateway: users, …}`."""
HIGHER = 8000
"""Contour has Envoy listen so much higher than a Gateway says, since in a pod it could not listen below 1024
(toContainerPort in its internal/gatewayapi/listeners.go)."""
CLASS = "nightferry"
NOBODY = "nobody"
VERSION = f"{GROUP}/v1"
KINDS_SECONDS = 30.0
"""How long the API server may take until it serves kinds that are new to it."""
PAUSE = 0.2
OURS = {names.MANAGED_BY: "nightferry"}
"""The label of the environments' namespaces: routes come from these."""
CONTROLLER = "projectcontour.io/gateway-controller"


def apply(
    api: KubeApi,
    kinds: Iterable[Mapping[str, Any]],
    port: int,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Bring the cluster to it.

    Args:
        kinds: the custom resource definitions.
        port: where users call the gateway.

    Raises:
        Permanent: (sandbox_failed) the API server does not serve the new kinds.
        Temporary: (cluster_unavailable) it does not answer, or refuses.
    """
    for kind in kinds:
        api.apply(kind)
    until = clock() + KINDS_SECONDS
    for plural in ("gatewayclasses", "gateways", "httproutes"):
        while not api.serves(VERSION, plural):
            if clock() > until:
                sentence = f"The API server does not serve {plural} {KINDS_SECONDS:.0f} s after it was told of them."
                raise Permanent(Reason.SANDBOX_FAILED, sentence)
            sleep(PAUSE)
    for thing in objects(port):
        api.apply(thing)


def objects(port: int) -> list[dict[str, Any]]:
    """The objects, in the order of their needs."""
    restricted = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    listener = {
        "name": "http",
        "protocol": "HTTP",
        "port": port - HIGHER,
        "allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": OURS}}},
    }
    # Without a route Envoy would not listen: that the port is taken would be seen when the first service comes. One
    # without a backend is none to Contour; this one answers 500.
    backend = {"group": "", "kind": "Service", "name": NOBODY, "port": 80, "weight": 0}
    nobody = {
        "parentRefs": [{"group": GROUP, "kind": "Gateway", "name": NAME}],
        "hostnames": [f"{NOBODY}.{DOMAIN}"],
        "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": [backend]}],
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": OURS | restricted}},
        _of("GatewayClass", {"name": CLASS}, {"controllerName": CONTROLLER}),
        _of("Gateway", {"name": NAME, "namespace": NAMESPACE}, {"gatewayClassName": CLASS, "listeners": [listener]}),
        _of("HTTPRoute", {"name": NOBODY, "namespace": NAMESPACE}, nobody),
    ]


def _of(kind: str, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": VERSION, "kind": kind, "metadata": {**metadata, "labels": OURS}, "spec": dict(spec)}
