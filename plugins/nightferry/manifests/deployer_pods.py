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
S3_KEY = "s3-key"
MLFLOW_KEYS = {"MLFLOW_TOKEN_FILE": "mlflow-token", "MLFLOW_PASSWORD_FILE": "mlflow-password"}
"""Settings with MLflow's login, and the Secret's keys that hold it."""
PASSED_ON = (
    *("STORAGE_URL", "LEDGER", "SERVICE_TYPE", "GATEWAY_METRICS", "PROMETHEUS_URL"),
    *("S3_URL", "S3_REGION", "MLFLOW_URL", "MLFLOW_USER"),
)
"""Settings that the deployer needs too."""


def environment(get: Callable[[str], str | None]) -> dict[str, str]:
    """The variables of a deployer's container.

    Args:
        get: the value of a setting, by its name without `NIGHTFERRY_`.
    """
    found = {PREFIX + name: get(name) for name in PASSED_ON}
    if get("STORAGE_CONNECTION_FILE"):
        found[PREFIX + "STORAGE_CONNECTION_FILE"] = f"{SECRET_FOLDER}/{SECRET_KEY}"
    if get("S3_KEY_FILE"):
        found[PREFIX + "S3_KEY_FILE"] = f"{SECRET_FOLDER}/{S3_KEY}"
    found |= {PREFIX + name: f"{SECRET_FOLDER}/{key}" for name, key in MLFLOW_KEYS.items() if get(name)}
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


def storage_secret(
    connection_string: str | None,
    namespace: str = NAMESPACE,
    s3_key: str | None = None,
    mlflow: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """How deployers reach the storage account, and the S3 storage or MLflow server that models may be in, where pods
    have no identity of their own for it.

    Args:
        connection_string: the account's.
        namespace: where the deployers run.
        s3_key: the text of the key's file.
        mlflow: the texts of the files with MLflow's login, by the values of `MLFLOW_KEYS`.
    """
    held = {SECRET_KEY: connection_string, S3_KEY: s3_key, **(mlflow or {})}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": namespace},
        "type": "Opaque",
        "stringData": {name: text for name, text in held.items() if text},
    }
