"""Point the stable Service to a release: the one moment at which users move.

The cluster holds the truth, never this process: the Service itself says which release it points to, and it is
changed only from the very state that was read. So whoever is killed at whichever line, and however often it is done
again, the Service points to exactly one release, and an older one never takes over from a newer one.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping

from nightferry.clients.clock import Clock
from nightferry.clients.cluster import Cluster, ClusterConflict, Manifest
from nightferry.entities.reason import Reason
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.service_spec import Environment
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.manifests import service as services

_TRIES = 10
log = logging.getLogger(__name__)


def in_use(service: Manifest | None) -> str:
    """The release that a stable Service points to; empty when there is none.

    Raises:
        Permanent: (rollout_refused) the Service is not one of ours, or was changed by hand.
    """
    if service is None:
        return ""
    metadata = service["metadata"]
    where = f"Service {metadata['name']} in {metadata.get('namespace', 'the namespace')}"
    if (metadata.get("labels") or {}).get(names.MANAGED_BY) != "nightferry":
        raise Permanent(
            Reason.ROLLOUT_REFUSED, f"{where} exists and is not Nightferry's; remove it or rename the service."
        )
    release = names.annotations_of(service).get(names.RELEASE, "")
    try:
        return str(ReleaseId.parse(release)) if release else ""
    except ValueError as fault:
        raise Permanent(
            Reason.ROLLOUT_REFUSED,
            f"{where} carries the annotation {names.RELEASE}={release!r}, which names no release; mend it by hand.",
        ) from fault


def newer(release: str, than: str) -> bool:
    """Whether `release` is a newer release than `than`, which may be empty."""
    return bool(release) and (not than or ReleaseId.parse(release) > ReleaseId.parse(than))


def refuse_superseded(current: str, release: str, namespace: str) -> None:
    """Raise Permanent (rollout_superseded) when `current`, which is in use, is newer than `release`."""
    if newer(current, release):
        raise Permanent(
            Reason.ROLLOUT_SUPERSEDED,
            f"{release} is older than {current}, which {namespace} already serves; nothing was changed.",
        )


def switch_forward(
    cluster: Cluster, service: str, identity: Mapping[str, str], environment: Environment, clock: Clock
) -> str:
    """Point the Service to a newer release, or leave it where it already does so.

    Returns:
        The release that it pointed to before; empty for none.

    Raises:
        Permanent: (rollout_superseded, rollout_refused)
        Temporary: (cluster_unavailable)
    """
    release = identity[names.RELEASE]
    for _ in range(_TRIES):
        found = cluster.get("Service", service) or cluster.create(services.unused(service))
        if found is None:  # someone else made it just now
            continue
        current = in_use(found)
        if current == release:
            return names.annotations_of(found).get(names.PREVIOUS, "")
        refuse_superseded(current, release, cluster.namespace)
        if _point(cluster, found, identity, environment, {names.PREVIOUS: current}, clock):
            return current
    raise _too_busy(cluster, service)


def switch_back(
    cluster: Cluster, service: str, failed: str, identity: Mapping[str, str], environment: Environment, clock: Clock
) -> bool:
    """Point the Service from the release `failed` to an earlier one; False when it does not point to `failed`."""
    for _ in range(_TRIES):
        found = cluster.get("Service", service)
        if found is None or in_use(found) != failed:
            return False
        if _point(cluster, found, identity, environment, {names.WITHDRAWN: failed}, clock):
            return True
    raise _too_busy(cluster, service)


def _point(
    cluster: Cluster,
    found: Manifest,
    identity: Mapping[str, str],
    environment: Environment,
    notes: Mapping[str, str],
    clock: Clock,
) -> bool:
    """Change the Service if it is still as `found`; whether it was."""
    service = found["metadata"]["name"]
    notes = {**notes, names.SWITCHED: utc(clock.now())}
    try:
        cluster.apply(services.stable(service, identity, environment, notes=notes, found=found))
    except ClusterConflict:
        return False
    log.info("%s in %s now goes to %s.", service, cluster.namespace, identity[names.RELEASE])
    return True


def _too_busy(cluster: Cluster, service: str) -> Temporary:
    return Temporary(
        Reason.CLUSTER_UNAVAILABLE,
        f"Service {service} in {cluster.namespace} is changed by others all the time; find out by whom.",
    )


def utc(time: dt.datetime) -> str:
    """A time as annotations hold it: 2026-11-21T02:00:00Z."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
