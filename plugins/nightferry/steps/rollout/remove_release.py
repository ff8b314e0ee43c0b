"""Remove what a failed rollout made, and nothing that users are or were sent to."""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import suppress

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, ClusterConflict, Manifest
from nightferry.manifests import names
from nightferry.manifests import service as services
from nightferry.steps.rollout.own_objects import belongs, delete_own
from nightferry.steps.rollout.switch_service import in_use

_TRIES = 10
_SWITCH_TAKES = dt.timedelta(minutes=2)
"""A mark of another attempt that is older than this was left by one that was killed."""
log = logging.getLogger(__name__)


def remove_release(
    cluster: Cluster, service: str, release: str, clock: Clock, *, mark: str = "", although_served: bool = False
) -> bool:
    """Remove the release's Deployment, and its candidate; whether nothing of it is left.

    Args:
        mark: what this attempt wrote by `mark_switching`, so that it knows its own mark from another's.
        although_served: also when users were sent to it once. Never while the Service points to it.
    """
    for _ in range(_TRIES):
        # The order matters: whoever switches marks the Deployment first, so a deletion decided on what was read
        # before that mark meets another resourceVersion.
        deployment = cluster.get("Deployment", names.object_name(release))
        stable = cluster.get("Service", service)
        if in_use(stable) == release:
            return False
        if deployment is None or not belongs(deployment, service):
            break
        now = names.annotations_of(deployment)
        if (names.SERVED in now and not although_served) or being_switched(now, clock, mark):
            return False
        with suppress(ClusterConflict):
            if cluster.delete("Deployment", names.object_name(release), deployment["metadata"]["resourceVersion"]):
                log.info("Removed the Deployment of %s from %s.", release, cluster.namespace)
            break
    else:
        return False
    _remove_candidate(cluster, service, release)
    _remove_unused(cluster, service, stable)
    return True


def being_switched(annotations: dict[str, str], clock: Clock, mark: str = "") -> bool:
    """Whether another attempt than the one that left `mark` is about to point the Service to this Deployment."""
    theirs = annotations.get(names.SWITCHING, "")
    if not theirs or theirs == mark:
        return False
    since = dt.datetime.fromisoformat(theirs.split()[0])
    return clock.now() - since < _SWITCH_TAKES


def _remove_candidate(cluster: Cluster, service: str, release: str) -> None:
    candidate = cluster.get("Service", services.candidate_name(service))
    if candidate and belongs(candidate, service) and names.annotations_of(candidate).get(names.RELEASE) == release:
        with suppress(ClusterConflict):  # it points to another release by now
            cluster.delete("Service", services.candidate_name(service), candidate["metadata"]["resourceVersion"])


def _remove_unused(cluster: Cluster, service: str, stable: Manifest | None) -> None:
    """Of a service that never had a release, nothing stays. One that has served stays, whatever became of it: its
    address is the users'."""
    if stable and not in_use(stable) and names.SWITCHED not in names.annotations_of(stable):
        with suppress(ClusterConflict):
            cluster.delete("Service", service, stable["metadata"]["resourceVersion"])
            stable = None
    if stable is None and not cluster.list("Deployment", names.labels(service)):
        delete_own(cluster, service, "NetworkPolicy", service)
