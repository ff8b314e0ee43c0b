"""Retire: releases that were kept warm long enough scale to zero, and the oldest are removed."""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import suppress

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, ClusterConflict, Manifest
from nightferry.entities.frozen import Frozen
from nightferry.entities.release_id import ReleaseId
from nightferry.manifests import names
from nightferry.steps.rollout.fence import order_on
from nightferry.steps.rollout.settle_releases import deployments_of
from nightferry.steps.rollout.switch_service import in_use

KEEP = 5
"""Releases to go back to."""
log = logging.getLogger(__name__)


class Retired(Frozen):
    """What was retired."""

    scaled: tuple[str, ...] = ()
    """Releases whose pods were ended."""
    removed: tuple[str, ...] = ()
    """Releases that cannot be gone back to any more, and leftovers of rollouts that never came into use."""


def retire_releases(cluster: Cluster, service: str, clock: Clock, keep: int = KEEP) -> Retired:
    """Scale releases past their warm time to zero, keep the newest `keep` of them, remove older ones.

    The one in use is never touched, nor is a rollout under way. Every change is conditional on what was read, so
    going back at the same moment wins.

    Raises:
        Permanent: (cluster_denied)   Temporary: (cluster_unavailable)
    """
    stable = cluster.get("Service", service)
    current = in_use(stable)
    if stable is None:
        return Retired()
    found = deployments_of(cluster, service)
    others = {release: one for release, one in found.items() if release != current}
    served = {release: one for release, one in others.items() if names.SERVED in names.annotations_of(one)}
    kept = sorted(served, key=lambda release: _age(release, served[release]), reverse=True)[:keep]
    scaled, removed = [], []
    for release, deployment in sorted(others.items()):
        cold = _cold(deployment, clock)
        with suppress(ClusterConflict):
            if (release in served and release not in kept and cold) or (
                release not in served and _left_over(release, deployment, stable)
            ):
                cluster.delete("Deployment", deployment["metadata"]["name"], deployment["metadata"]["resourceVersion"])
                removed.append(release)
            elif release in kept and cold and deployment["spec"].get("replicas", 1):
                _scale_down(cluster, deployment)
                scaled.append(release)
    retired = Retired(scaled=tuple(scaled), removed=tuple(removed))
    where, told = cluster.namespace, map(_names, (scaled, removed))
    level = logging.INFO if scaled or removed else logging.DEBUG
    log.log(level, "%s serves %s; scaled to zero: %s; removed: %s.", where, current or "nobody", *told)
    return retired


def services_in(cluster: Cluster) -> set[str]:
    """The services that have releases in a namespace, those without a service file among them."""
    found = cluster.list("Deployment", {names.MANAGED_BY: "nightferry"})
    return {one["metadata"]["labels"][names.NAME] for one in found if names.NAME in one["metadata"]["labels"]}


def _age(release: str, deployment: Manifest) -> tuple[str, int, ReleaseId]:
    """Orders releases by when users were sent to them."""
    notes = names.annotations_of(deployment)
    return notes[names.SERVED], order_on(deployment), ReleaseId.parse(release)


def _left_over(release: str, deployment: Manifest, stable: Manifest) -> bool:
    """Whether a release that never came into use never will: what is in use now was ordered later."""
    theirs, ours = order_on(deployment), order_on(stable)
    if theirs and ours:
        return theirs < ours
    current = in_use(stable)  # made by an earlier version, whose releases follow their dates
    return bool(current) and ReleaseId.parse(current) > ReleaseId.parse(release)


def _cold(deployment: Manifest, clock: Clock) -> bool:
    """Whether the warm time of a release is over."""
    until = names.annotations_of(deployment).get(names.WARM_UNTIL)
    return until is not None and dt.datetime.fromisoformat(until) <= clock.now()


def _scale_down(cluster: Cluster, deployment: Manifest) -> None:
    name, had = deployment["metadata"]["name"], deployment["spec"].get("replicas", 1)
    metadata = {
        "resourceVersion": deployment["metadata"]["resourceVersion"],
        "annotations": {names.REPLICAS: str(had)},
    }
    cluster.patch("Deployment", name, {"metadata": metadata, "spec": {"replicas": 0}})
    for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget"):
        cluster.delete(kind, name)


def _names(releases: list[str]) -> str:
    return ", ".join(releases) or "none"
