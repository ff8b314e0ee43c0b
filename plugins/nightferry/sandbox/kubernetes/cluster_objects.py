"""What the sandbox's cluster holds before the first release: namespaces, roles, policies, what deployers are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from nightferry.manifests import deployer_pods
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


def apply(
    api: KubeApi,
    connection_string: str | None,
    namespace: str = deployer_pods.NAMESPACE,
    s3_key: str | None = None,
    mlflow: Mapping[str, str] | None = None,
) -> None:
    """Bring the cluster to what the manifests say.

    Args:
        connection_string: of the storage account; None where pods have an identity of their own for it.
        namespace: where the deployers run.
        s3_key: the text of the file with the key of the S3 storage; None where there is none.
        mlflow: as `storage_secret` wants it.
    """
    things = [moved(thing, namespace) for thing in objects()]
    for thing in things:
        api.apply(thing)
    if connection_string is not None or s3_key is not None or mlflow:
        api.apply(deployer_pods.storage_secret(connection_string, namespace, s3_key, mlflow))
    for thing in things:
        if thing["kind"] == FIRST and thing["metadata"]["name"] != namespace:
            for left in _of_before(thing["metadata"]["name"]):
                api.remove(left)


def allow_deployer(
    api: KubeApi, image: str, variables: Mapping[str, str], namespace: str = deployer_pods.NAMESPACE
) -> None:
    """Let deployers of this image in, and of no other any more."""
    api.apply(deployer_pods.allowed(image, variables, namespace))


def moved(thing: Any, namespace: str) -> Any:
    """The object as it is where the deployers run in another namespace than `nightferry`."""
    if isinstance(thing, list):
        return [moved(one, namespace) for one in thing]
    if not isinstance(thing, dict):
        return thing
    made = {key: moved(value, namespace) for key, value in thing.items()}
    for key in ("namespace", "kubernetes.io/metadata.name"):
        if made.get(key) == deployer_pods.NAMESPACE:
            made[key] = namespace
    if made.get("kind") == FIRST and made["metadata"]["name"] == deployer_pods.NAMESPACE:
        made["metadata"]["name"] = namespace
    if made.get("kind") == "ValidatingAdmissionPolicyBinding":
        made["metadata"]["name"] = f"{made['spec']['policyName']}.{namespace}"
    return made


def _of_before(environment: str) -> list[dict[str, Any]]:
    """What the environments held while the deployers ran in them: the account, and the storage account's secret."""
    account = {"name": deployer_pods.SERVICE_ACCOUNT, "namespace": environment}
    secret = {"name": deployer_pods.SECRET, "namespace": environment}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        {"apiVersion": "v1", "kind": "Secret", "metadata": secret},
    ]
