"""How many previews may run at once in a cluster, and who has the places."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence

from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.manifests import names
from nightferry.manifests import preview as manifests

COUNT = "count/jobs.batch"
"""The quota of the trial namespace that has the number: previews alone are Jobs there."""
log = logging.getLogger(__name__)


def standing(cluster: Cluster, now: dt.datetime) -> list[Manifest]:
    """The Jobs of previews whose time is not over, oldest first.

    Raises:
        Permanent: (cluster_denied)   Temporary: (cluster_unavailable)
    """
    found = [one for one in cluster.list("Job", manifests.LABELS) if not manifests.is_over(one, now)]
    return sorted(found, key=lambda one: one["metadata"].get("creationTimestamp") or "")


def refuse_full(cluster: Cluster, now: dt.datetime) -> None:
    """Look whether there is a place, before anything is built.

    Rights that are missing are left to whoever makes the preview: then it is found later.

    Raises:
        Permanent: (preview_full) every place is taken; by whom, and until when.
        Temporary: (cluster_unavailable)
    """
    try:
        held, places = standing(cluster, now), places_of(cluster)
    except Permanent as fault:
        log.warning("It is not looked whether there is a place for a preview: %s", fault.sentence)
        return
    if places is not None and len(held) >= places:
        raise full(held, cluster.namespace, f"all {places} places are taken")


def full(held: Sequence[Manifest], namespace: str, why: str) -> Permanent:
    """The error of whoever finds no place."""
    told = "; ".join(holder(one) for one in held) or "nobody that can be seen"
    return Permanent(
        Reason.PREVIEW_FULL,
        f"There is no room for another preview in {namespace}, {why}: {told}. Wait, ask them to end one "
        "(nightferry preview end PREVIEW), or raise the quotas of previews there.",
    )


def holder(job: Manifest) -> str:
    """`preview-digits-3 by ana until 2026-11-21T18:00:00Z`."""
    by = names.annotations_of(job).get(manifests.BY, "somebody")
    return f"{job['metadata']['name']} by {by} until {manifests.until(job) or 'an unknown time'}"


def places_of(cluster: Cluster) -> int | None:
    """How many previews may run at once; None where no quota says so."""
    counts = [
        int(hard)
        for quota in cluster.list("ResourceQuota")
        for resource, hard in (quota["spec"].get("hard") or {}).items()
        if resource == COUNT
    ]
    return min(counts, default=None)
