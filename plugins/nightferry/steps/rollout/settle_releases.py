"""Write on each Deployment what became of it: in use, or kept warm for going back."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from contextlib import suppress

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, ClusterConflict, Manifest
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Environment
from nightferry.errors import Temporary
from nightferry.manifests import names, policies
from nightferry.steps.rollout.switch_service import utc


def deployments_of(cluster: Cluster, service: str) -> dict[str, Manifest]:
    """The Deployments of a service, by release."""
    found = cluster.list("Deployment", names.labels(service))
    return {
        names.annotations_of(one).get(names.RELEASE, ""): one
        for one in found
        if names.RELEASE in names.annotations_of(one)
    }


def mark_switching(cluster: Cluster, release: str, clock: Clock) -> str:
    """Say on the release's Deployment that the Service is about to point to it; the mark that was left.

    Whoever wants to remove the Deployment has read it before, and now finds it changed.

    Raises:
        Temporary: (cluster_unavailable) the Deployment is gone: another attempt removed it.
    """
    mark = f"{utc(clock.now())} {uuid.uuid4().hex[:8]}"
    if annotate(cluster, release, {names.SWITCHING: mark}) is None:
        raise Temporary(
            Reason.CLUSTER_UNAVAILABLE,
            f"The Deployment of {release} in {cluster.namespace} was removed before users were sent to it; try again.",
        )
    return mark


def mark_served(cluster: Cluster, release: str, clock: Clock) -> None:
    """Say on the release's Deployment that users are sent to it."""
    found = cluster.get("Deployment", names.object_name(release))
    if found is None:
        return
    now = names.annotations_of(found)
    wanted = {
        names.SERVED: now.get(names.SERVED) or utc(clock.now()),
        names.SWITCHING: None,
        names.WARM_UNTIL: None,
        names.LEFT: None,
    }
    if any(now.get(name) != value for name, value in wanted.items()):
        annotate(cluster, release, wanted)


def settle(cluster: Cluster, service: str, environment: Environment, release: str, clock: Clock) -> None:
    """After a switch: `release` is in use and scales with its load, and the one that the Service pointed to before
    stays warm for the environment's `warm_minutes`, with as many pods as it had. Of those before it none is kept
    warm any longer: many releases in a short time must not use up the cluster.

    It repairs what an interrupted attempt left undone, and changes nothing the second time.
    """
    mark_served(cluster, release, clock)
    _scale_with_load(cluster, environment, release)
    stable = cluster.get("Service", service)
    notes = names.annotations_of(stable) if stable else {}
    before = (notes.get(names.PREVIOUS), notes.get(names.WITHDRAWN))
    now = clock.now()
    warm = environment.warm_minutes + environment.strategy.bake_minutes  # while it is watched, nothing is let go
    until = utc(now + dt.timedelta(minutes=warm))
    for other, deployment in deployments_of(cluster, service).items():
        notes = names.annotations_of(deployment)
        if other == release or names.SERVED not in notes:
            continue
        wanted = until if other in before else utc(now)
        if names.WARM_UNTIL not in notes or notes[names.WARM_UNTIL] > wanted:
            # Without users it would shrink, and going back to it would send all of them to its smallest size.
            cluster.delete("HorizontalPodAutoscaler", names.object_name(other))
            with suppress(ClusterConflict):  # whoever changed it in between settles it, too
                annotate(cluster, other, {names.WARM_UNTIL: wanted}, deployment["metadata"]["resourceVersion"])


def _scale_with_load(cluster: Cluster, environment: Environment, release: str) -> None:
    autoscale = environment.autoscale
    found = cluster.get("Deployment", names.object_name(release)) if autoscale else None
    if autoscale and found:
        cluster.apply(policies.autoscaler(found, autoscale))


def annotate(
    cluster: Cluster, release: str, changes: Mapping[str, str | None], resource_version: str | None = None
) -> Manifest | None:
    """Change annotations of a release's Deployment; None when it is gone."""
    metadata: Manifest = {"annotations": dict(changes)}
    if resource_version:
        metadata["resourceVersion"] = resource_version
    return cluster.patch("Deployment", names.object_name(release), {"metadata": metadata})
