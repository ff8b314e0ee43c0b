"""Point the stable Service to a release: the one moment at which users move.

The cluster holds the truth, never this process: the Service itself says which release it points to, and it is
changed only from the very state that was read. So whoever is killed at whichever line, and however often it is done
again, the Service points to exactly one release, and what was ordered earlier never takes over.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, ClusterConflict, Manifest
from nightferry.entities.reason import Reason
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import Environment
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.manifests import service as services
from nightferry.steps.rollout.fence import Orders, refuse_superseded
from nightferry.steps.rollout.own_objects import refuse_alien, refuse_other_environment

_TRIES = 10
_NOTES = (names.ORDER, names.PREVIOUS, names.SWITCHED, names.WITHDRAWN, names.ROLLBACK, names.ROUTED, names.VERDICT)
log = logging.getLogger(__name__)


def in_use(service: Manifest | None) -> str:
    """The release that a stable Service points to; empty when there is none.

    Raises:
        Permanent: (rollout_refused) the Service is not one of ours, or was changed by hand.
    """
    if service is None:
        return ""
    metadata = service["metadata"]
    refuse_alien(service, metadata["name"])
    release = names.annotations_of(service).get(names.RELEASE, "")
    try:
        return str(ReleaseId.parse(release)) if release else ""
    except ValueError as fault:
        raise Permanent(
            Reason.ROLLOUT_REFUSED,
            f"Service {metadata['name']} in {metadata.get('namespace', 'the namespace')} carries the annotation "
            f"{names.RELEASE}={release!r}, which names no release; mend it by hand.",
        ) from fault


def switch_forward(cluster: Cluster, plan: RolloutPlan, orders: Orders, clock: Clock) -> str:
    """Point the Service to the plan's release, or leave it where it already does so.

    Returns:
        The release that it pointed to before; empty for none.

    Raises:
        Permanent: (rollout_superseded, rollout_refused, ledger_behind)
        Temporary: (cluster_unavailable)
    """
    for _ in range(_TRIES):
        found = cluster.get("Service", plan.service) or cluster.create(services.unused(plan.service))
        if found is None:  # someone else made it just now
            continue
        current = in_use(found)
        if current == plan.release:
            return names.annotations_of(found).get(names.PREVIOUS, "")
        refuse_other_environment(found, plan.service, plan.environment.name)
        refuse_superseded(found, plan.release, plan.order, orders)
        notes = {names.PREVIOUS: current, names.ORDER: str(plan.order)}
        if _point(cluster, found, names.identity(plan), plan.environment, notes, clock):
            return current
    raise _too_busy(cluster, plan.service)


def switch_back(
    cluster: Cluster,
    service: str,
    failed: str,
    identity: Mapping[str, str],
    environment: Environment,
    clock: Clock,
    order: int | None,
    more: Mapping[str, str] | None = None,
) -> bool:
    """Point the Service from the release `failed` to an earlier one, or with no identity to none; False when it does
    not point to `failed`.

    Args:
        more: further annotations.
        order: the sequence of the withdrawal on the record; None while the record cannot be written to, and then the
            Service keeps its fence.
    """
    for _ in range(_TRIES):
        found = cluster.get("Service", service)
        if found is None or in_use(found) != failed:
            return False
        fence = str(order) if order else names.annotations_of(found).get(names.ORDER, "")
        notes = {names.WITHDRAWN: failed} | ({names.ORDER: fence} if fence else {}) | dict(more or {})
        if _point(cluster, found, identity, environment, notes, clock):
            return True
    raise _too_busy(cluster, service)


def change_notes(
    cluster: Cluster, service: str, found: Manifest, environment: Environment, changes: Mapping[str, str]
) -> None:
    """Change how the Service says that it came to its release, and nothing else, if it is still as `found`; what is
    changed to nothing goes.

    Applied like a switch, not patched: what a patch has written, no later switch would take away.

    Raises:
        ClusterConflict: it is another one by now.
    """
    notes = {name: value for name, value in names.annotations_of(found).items() if name in _NOTES}
    notes = {name: value for name, value in {**notes, **changes}.items() if value}
    identity = names.identity_of(found)
    cluster.apply(services.stable(service, identity, environment, notes=notes, found=found))


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
    routed = environment.traffic is not None or names.ROUTED in names.annotations_of(found)
    notes = {**notes, names.SWITCHED: utc(clock.now())} | ({names.ROUTED: "true"} if routed else {})
    try:
        cluster.apply(services.stable(service, identity, environment, notes=notes, found=found))
    except ClusterConflict:
        return False
    log.info("%s in %s now goes to %s.", service, cluster.namespace, identity.get(names.RELEASE, "nobody"))
    return True


def _too_busy(cluster: Cluster, service: str) -> Temporary:
    return Temporary(
        Reason.CLUSTER_UNAVAILABLE,
        f"Service {service} in {cluster.namespace} is changed by others all the time; find out by whom.",
    )


def utc(time: dt.datetime) -> str:
    """A time as annotations hold it: 2026-11-21T02:00:00Z."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
