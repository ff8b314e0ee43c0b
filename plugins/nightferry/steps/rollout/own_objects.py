"""Objects are changed only where they belong to the service: nothing is applied over another service's labels."""

from __future__ import annotations

from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.manifests import names


def belongs(found: Manifest, service: str) -> bool:
    """Whether an object is Nightferry's, and of this service."""
    labels = found["metadata"].get("labels") or {}
    return labels.get(names.MANAGED_BY) == "nightferry" and labels.get(names.NAME, service) == service


def refuse_alien(found: Manifest, service: str) -> None:
    """Raise Permanent (rollout_refused) when an object is not Nightferry's, or is another service's."""
    if belongs(found, service):
        return
    metadata = found["metadata"]
    labels = metadata.get("labels") or {}
    ours = labels.get(names.MANAGED_BY) == "nightferry"
    owner = f"the service {labels[names.NAME]}'s" if ours else "not Nightferry's"
    raise Permanent(
        Reason.ROLLOUT_REFUSED,
        f"{found['kind']} {metadata['name']} in {metadata.get('namespace', 'the namespace')} exists and is {owner}; "
        "nothing was changed. Remove it, or rename the service.",
    )


def refuse_other_environment(stable: Manifest | None, service: str, environment: str) -> None:
    """Raise Permanent (rollout_refused) when the Service is another environment's: its users are not these."""
    theirs = names.annotations_of(stable).get(names.ENVIRONMENT, environment) if stable else environment
    if stable and theirs != environment:
        raise Permanent(
            Reason.ROLLOUT_REFUSED,
            f"Service {service} in {stable['metadata'].get('namespace', 'the namespace')} is that of {theirs}; nothing "
            f"was changed. Give {environment} a namespace of its own: its connection leads to the same cluster.",
        )


def delete_own(cluster: Cluster, service: str, kind: str, name: str) -> None:
    """Delete an object of the service; one that is somebody else's stays."""
    found = cluster.get(kind, name)
    if found is not None and belongs(found, service):
        cluster.delete(kind, name)


def apply_own(cluster: Cluster, service: str, manifest: Manifest) -> Manifest:
    """Apply an object of the service, unless one of that name is somebody else's.

    Raises:
        Permanent: (rollout_refused) it is.   Temporary: (cluster_unavailable)
    """
    found = cluster.get(manifest["kind"], manifest["metadata"]["name"])
    if found is not None:
        refuse_alien(found, service)
    return cluster.apply(manifest)
