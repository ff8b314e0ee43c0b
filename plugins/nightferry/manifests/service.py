"""The two Services: the stable one that users call, and the candidate beside it, which nobody uses yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightferry.entities.service_spec import Environment
from nightferry.manifests import names

NOBODY = "none"
"""The release that a stable Service selects while there is none to send users to."""
PORTS: list[dict[str, Any]] = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
_DNS_LABEL = "service.beta.kubernetes.io/azure-dns-label-name"


def candidate_name(service: str) -> str:
    """What the Service beside the stable one is called."""
    return f"{service}-candidate"


def candidate(service: str, identity: Mapping[str, str]) -> dict[str, Any]:
    """The Service of a release that is beside the one in use and not yet in it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": candidate_name(service),
            "labels": names.labels(service),
            "annotations": dict(identity),
        },
        "spec": {
            "type": "ClusterIP",
            "selector": names.selector(service, identity[names.RELEASE]),
            "ports": PORTS,
        },
    }


def unused(service: str) -> dict[str, Any]:
    """A stable Service that points to no release yet, so that the first switch is one like every other."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service, "labels": names.labels(service)},
        "spec": {"selector": names.selector(service, NOBODY), "ports": PORTS},
    }


def stable(
    service: str,
    identity: Mapping[str, str],
    environment: Environment,
    *,
    notes: Mapping[str, str],
    found: Mapping[str, Any],
) -> dict[str, Any]:
    """The stable Service pointing to a release, or with no identity to none; applied only if the Service is still as it
    was `found`.

    `notes` are the annotations that tell how it came to this release (`names.PREVIOUS` and its like).
    A NodePort is left out on purpose: the cluster keeps the one that it gave, and with it the users' address.
    """
    kind = environment.service_type or "LoadBalancer"
    ranges = list(environment.source_ranges) if kind == "LoadBalancer" else []
    labelled = {_DNS_LABEL: environment.dns_label} if environment.dns_label else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service,
            "uid": found["metadata"]["uid"],
            "resourceVersion": found["metadata"]["resourceVersion"],
            "labels": names.labels(service),
            "annotations": {**identity, **notes, **labelled, names.ENVIRONMENT: environment.name},
        },
        "spec": {
            "type": kind,
            "selector": names.selector(service, identity.get(names.RELEASE, NOBODY)),
            "ports": PORTS,
            **({"loadBalancerSourceRanges": ranges} if ranges else {}),
        },
    }
