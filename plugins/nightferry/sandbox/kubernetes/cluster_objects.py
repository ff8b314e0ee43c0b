"""What the sandbox's cluster holds before the first release: namespaces, roles, and the storage account's secret."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from nightferry.sandbox.supervise.kube_api import KubeApi

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
FIRST = "Namespace"


def objects(folders: Iterable[str] = ("cluster", "sandbox")) -> list[dict[str, Any]]:
    """Every object of the manifests, namespaces first."""
    found: list[dict[str, Any]] = []
    for folder in folders:
        for path in sorted((MANIFESTS / folder).glob("*.yaml")):
            found += [thing for thing in yaml.safe_load_all(path.read_text(encoding="utf-8")) if thing]
    return sorted(found, key=lambda thing: thing["kind"] != FIRST)


def apply(api: KubeApi, connection_string: str | None) -> None:
    """Bring the cluster to what the manifests say.

    Args:
        connection_string: of the storage account; None where pods have an identity of their own for it.
    """
    things = objects()
    for thing in things:
        api.apply(thing)
    if connection_string is not None:
        for namespace in (thing["metadata"]["name"] for thing in things if thing["kind"] == FIRST):
            api.apply(storage_secret(namespace, connection_string))


def storage_secret(namespace: str, connection_string: str) -> dict[str, Any]:
    """How pods of the namespace reach the storage account."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "nightferry-storage", "namespace": namespace},
        "type": "Opaque",
        "stringData": {"connection-string": connection_string},
    }
