"""What the deployers' namespace holds beside `cluster/nightferry.yaml`, and what a deployer's pod is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nightferry.settings import PREFIX, Settings

NAMESPACE: str = Settings.model_fields["deployer_namespace"].default
"""Where the deployers run, unless NIGHTFERRY_DEPLOYER_NAMESPACE names another place."""
SERVICE_ACCOUNT = "nightferry-deployer"
ALLOWED = "nightferry-deployer"
"""The ConfigMap from which the admission policy knows the image and the variables of a deployer."""
SECRET = "nightferry-storage"  # noqa: S105 (its name)
SECRET_FOLDER = "/var/run/secrets/nightferry/storage"  # noqa: S105
SECRET_KEY = "connection-string"  # noqa: S105
PASSED_ON = ("STORAGE_URL", "LEDGER", "SERVICE_TYPE", "GATEWAY_METRICS", "PROMETHEUS_URL")
"""Settings that the deployer needs too."""


def environment(get: Callable[[str], str | None]) -> dict[str, str]:
    """The variables of a deployer's container.

    Args:
        get: the value of a setting, by its name without `NIGHTFERRY_`.
    """
    found = {PREFIX + name: get(name) for name in PASSED_ON}
    if get("STORAGE_CONNECTION_FILE"):
        found[PREFIX + "STORAGE_CONNECTION_FILE"] = f"{SECRET_FOLDER}/{SECRET_KEY}"
    return {name: value for name, value in found.items() if value}


def allowed(image: str, variables: Mapping[str, str], namespace: str = NAMESPACE) -> dict[str, Any]:
    """The ConfigMap that lets deployers of this image in, with these variables and no others."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": ALLOWED,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "nightferry"},
        },
        "data": {
            "images": image,
            "environment": "\n".join(f"{name}={value}" for name, value in sorted(variables.items())),
        },
    }


def storage_secret(connection_string: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    """How deployers reach the storage account where pods have no identity of their own for it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": namespace},
        "type": "Opaque",
        "stringData": {SECRET_KEY: connection_string},
    }
