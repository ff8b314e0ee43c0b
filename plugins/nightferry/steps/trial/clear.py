"""Take away what was tried: also what one that was killed has left."""

from __future__ import annotations

from collections.abc import Iterator

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.manifests import names
from nightferry.manifests.service import candidate_name

GONE_SECONDS = 60.0
POLL_SECONDS = 0.5


def clear(cluster: Cluster, service: str, clock: Clock, seconds: float = GONE_SECONDS) -> list[str]:
    """Remove every service from the trial namespace, and wait until the pods are gone; what was there.

    Whoever calls it has the turn (`my_turn`). Pods that have not ended in time are left to end by themselves. What is
    made beside a Deployment, disruption budgets and the like, goes with it.

    Args:
        cluster: the trial namespace.
        service: the one that is about to be tried, or was: its Services are looked for also where no pod is left.
        clock: for the wait.
        seconds: how long it waits.

    Raises:
        Permanent: (cluster_denied)   Temporary: (cluster_unavailable)
    """
    removed = [
        f"{kind} {name}"
        for one in sorted({service, *_services(cluster)})
        for kind, name in _objects(cluster, one)
        if _delete(cluster, kind, name)
    ]
    deadline = clock.monotonic() + seconds
    while cluster.list("Pod", {names.MANAGED_BY: "nightferry"}) and clock.monotonic() < deadline:
        clock.sleep(POLL_SECONDS)
    return removed


def _services(cluster: Cluster) -> set[str]:
    """Those that have a Deployment there, or pods."""
    found = [one for kind in ("Deployment", "Pod") for one in cluster.list(kind, {names.MANAGED_BY: "nightferry"})]
    return {one["metadata"]["labels"][names.NAME] for one in found if names.NAME in one["metadata"]["labels"]}


def _objects(cluster: Cluster, service: str) -> Iterator[tuple[str, str]]:
    for one in cluster.list("Deployment", names.labels(service)):
        yield "Deployment", one["metadata"]["name"]
    yield from (("HTTPRoute", service), ("Service", service), ("Service", candidate_name(service)))
    yield from (("NetworkPolicy", service), ("Lease", service))  # its orders are those of a record that is emptied


def _delete(cluster: Cluster, kind: str, name: str) -> bool:
    try:
        return cluster.delete(kind, name)
    except Permanent as fault:
        if fault.reason is not Reason.GATEWAY_MISSING:  # a cluster may know no routes
            raise
        return False
