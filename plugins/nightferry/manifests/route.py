"""What a gateway needs beside the stable Service: a Service for each release, and the route that weighs them.

The fields that the cluster would fill in itself are written down, so that what was read back is what was applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightferry.entities.service_file.gateway import Gateway
from nightferry.entities.service_spec import Environment
from nightferry.manifests import names
from nightferry.manifests.policies import owned
from nightferry.manifests.service import PORTS

GROUP = "gateway.networking.k8s.io"
MOST = 1_000_000
"""The greatest weight that the Gateway API knows."""


def release_service(service: str, release: str, deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The Service that leads to one release's pods, whoever is in use; it goes with the release's Deployment.

    Args:
        service: the service's name.
        release: the release.
        deployment: the release's Deployment as the cluster has it, with its uid.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owned(deployment),
        "spec": {
            "type": "ClusterIP",
            "selector": names.selector(service, release),
            "ports": PORTS,
        },
    }


def route(
    service: str,
    environment: Environment,
    weights: Mapping[str, int],
    notes: Mapping[str, str],
    found: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The route that sends an environment's users to releases, each its share of the sum of all weights.

    Args:
        service: it is called like this one, and like the stable Service.
        environment: one whose file names a gateway.
        weights: by release; one with 0 gets nobody and is known to the gateway. A release is to be named with 0 first,
            for a moment: a gateway may send users to one that is new to it before it knows where its pods are (503).
            None at all: nobody is answered.
        notes: the annotations that tell how it came to this (`names.ORDER` and its like).
        found: the route as it was read; the result is applied only if it still is so. None: there is none, and the
            result is for `Cluster.create`.

    Raises:
        ValueError: the environment has no gateway, or a weight is none that a gateway knows.
    """
    gateway = environment.traffic
    if gateway is None:
        raise ValueError(f"{environment.name} of {service} has no gateway")
    for release, weight in weights.items():
        if not 0 <= weight <= MOST:
            raise ValueError(f"{release} cannot have the weight {weight}: it is between 0 and {MOST}")
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": service,
            **({name: found["metadata"][name] for name in ("uid", "resourceVersion")} if found else {}),
            "labels": names.labels(service),
            "annotations": {**notes, names.ENVIRONMENT: environment.name},
        },
        "spec": {
            "parentRefs": [_parent(gateway)],
            "hostnames": list(gateway.hosts),
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": [_backend(release, weight) for release, weight in sorted(weights.items())],
                    # As long as through the Service: gateways have limits of their own, of 15 s and the like.
                    "timeouts": {"request": "0s"},
                }
            ],
        },
    }


def weights_of(found: Mapping[str, Any]) -> dict[str, int]:
    """The weights of a route as it was read, by the name of the release's Service: `digits-20260102-1` -> 90."""
    return {
        str(backend["name"]): int(backend.get("weight", 1))
        for rule in found["spec"].get("rules") or ()
        for backend in rule.get("backendRefs") or ()
    }


def _parent(gateway: Gateway) -> dict[str, str]:
    return {"group": GROUP, "kind": "Gateway", "namespace": gateway.namespace, "name": gateway.name}


def _backend(release: str, weight: int) -> dict[str, Any]:
    return {
        "group": "",
        "kind": "Service",
        "name": names.object_name(release),
        "port": PORTS[0]["port"],
        "weight": weight,
    }
