"""The two Services: the stable one that users call, and the preview of a release that nobody uses yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightferry.entities.service_spec import Environment
from nightferry.manifests import names

_PORTS = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
_DNS_LABEL = "service.beta.kubernetes.io/azure-dns-label-name"


def preview_name(service: str) -> str:
    """What the preview Service of a service is called."""
    return f"{service}-preview"


def preview(service: str, identity: Mapping[str, str]) -> dict[str, Any]:
    """The preview of a release."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": preview_name(service),
            "labels": names.labels(service),
            "annotations": dict(identity),
        },
        "spec": {
            "type": "ClusterIP",
            "selector": names.selector(service, identity[names.RELEASE]),
            "ports": _PORTS,
        },
    }


def unused(service: str) -> dict[str, Any]:
    """A stable Service that points to no release yet, so that the first switch is one like every other."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service, "labels": names.labels(service)},
        "spec": {"selector": names.selector(service, "none"), "ports": _PORTS},
    }


def stable(
    service: str,
    identity: Mapping[str, str],
    environment: Environment,
    *,
    notes: Mapping[str, str],
    found: Mapping[str, Any],
) -> dict[str, Any]:
    """The stable Service pointing to a release; applied only if the Service is still as it was `found`.

    `notes` are the annotations that tell how it came to this release (`names.PREVIOUS` and its like).
    A NodePort is left out on purpose: the cluster keeps the one that it gave, and with it the users' address.
    """
    labelled = {_DNS_LABEL: environment.dns_label} if environment.dns_label else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service,
            "uid": found["metadata"]["uid"],
            "resourceVersion": found["metadata"]["resourceVersion"],
            "labels": names.labels(service),
            "annotations": {**identity, **notes, **labelled},
        },
        "spec": {
            "type": environment.service_type or "LoadBalancer",
            "selector": names.selector(service, identity[names.RELEASE]),
            "ports": _PORTS,
        },
    }
