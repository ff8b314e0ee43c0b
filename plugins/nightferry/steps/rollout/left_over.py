"""What is left of services whose files were removed: nobody releases them any more, and their pods hold capacity."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, ClusterConflict, Manifest
from nightferry.entities.frozen import Frozen
from nightferry.errors import Permanent
from nightferry.manifests import names
from nightferry.manifests import service as services
from nightferry.steps.rollout.own_objects import delete_own
from nightferry.steps.rollout.remove_release import being_switched
from nightferry.steps.rollout.switch_service import in_use

log = logging.getLogger(__name__)


class LeftOver(Frozen):
    """What a namespace still holds of one service."""

    service: str
    namespace: str
    in_use: str | None
    """The release that its users get; None where there is no Service, or it points nowhere."""
    releases: dict[str, int]
    """Every release that is there, and how many pods it wants."""


def left_over(cluster: Cluster, known: Collection[str]) -> list[LeftOver]:
    """Every service of ours in the namespace that is not among the known ones.

    Raises:
        Permanent: (cluster_denied)   Temporary: (cluster_unavailable)
    """
    ours = {names.MANAGED_BY: "nightferry"}
    deployments, stables = cluster.list("Deployment", ours), cluster.list("Service", ours)
    found = {name for one in (*deployments, *stables) if (name := _service(one)) and name not in known}
    return [
        LeftOver(
            service=name,
            namespace=cluster.namespace,
            in_use=next((in_use(one) or None for one in stables if one["metadata"]["name"] == name), None),
            releases={_release(one): one["spec"].get("replicas", 1) for one in deployments if _service(one) == name},
        )
        for name in sorted(found)
    ]


def retire_left_over(cluster: Cluster, service: str, clock: Clock, *, everything: bool) -> tuple[str, ...]:
    """Remove the releases of a service that are not in use; with `everything` also the one in use, and the Service.

    A release that a rollout is about to switch to stays, as does one that changes while this looks: run it again.

    Returns:
        The releases that were removed.

    Raises:
        Permanent: (cluster_denied)   Temporary: (cluster_unavailable)
    """
    # In this order: whoever switches marks the Deployment before the Service, so a deletion decided on what was read
    # before the mark meets another resourceVersion.
    deployments = cluster.list("Deployment", names.labels(service))
    stable = cluster.get("Service", service)
    if stable and _service(stable) != service:
        stable = None
    current = in_use(stable)
    if everything and stable and names.ROUTED in names.annotations_of(stable):
        delete_own(cluster, service, "HTTPRoute", service)
    if everything and stable:
        cluster.delete("Service", service, stable["metadata"]["resourceVersion"])
    removed = []
    for one in deployments:
        if (_release(one) != current or everything) and not being_switched(names.annotations_of(one), clock):
            with suppress(ClusterConflict):
                if cluster.delete("Deployment", one["metadata"]["name"], one["metadata"]["resourceVersion"]):
                    removed.append(_release(one))
    if everything and not cluster.list("Deployment", names.labels(service)):
        delete_own(cluster, service, "Service", services.candidate_name(service))
        delete_own(cluster, service, "NetworkPolicy", service)
        with suppress(Permanent):  # an older role has no right to Leases
            delete_own(cluster, service, "Lease", service)
    log.info("Removed from %s: %s.", cluster.namespace, ", ".join(removed) or "nothing")
    return tuple(removed)


def _service(manifest: Manifest) -> str:
    return str((manifest["metadata"].get("labels") or {}).get(names.NAME, ""))


def _release(deployment: Manifest) -> str:
    return names.annotations_of(deployment).get(names.RELEASE) or str(deployment["metadata"]["name"])
