"""The route follows the stable Service: who comes through the gateway gets the release that the Service points to.

The Service alone is fenced and moved by orders. The route is derived from it, so whoever comes here, in whatever order
and however often, leaves it where the Service points; killed in between, it still leads to a release that is warm.

A canary's share stands in the route alone, with the order that set it (`names.CANARY`). It is in force as long as the
Service points to another release by an earlier order: whatever moves the Service, or takes the release back there, ends
it, and so does whoever comes here for its end.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, ClusterConflict, Manifest
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Environment
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.manifests.route import release_service, route, weights_of
from nightferry.steps.rollout.fence import order_on, unwritten_rollback
from nightferry.steps.rollout.own_objects import apply_own, refuse_alien
from nightferry.steps.rollout.switch_service import in_use

KNOWN_SECONDS = 1.0
"""How long a gateway is given to learn where a release's pods are, before it sends users there (ADR 19)."""
ALL = 100
_TRIES = 10
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Share:
    """A canary as the route carries it."""

    release: str
    share: int
    """Percent."""
    order: int
    """The sequence of the decision that ordered the release."""


def share_on(found: Manifest | None, stable: Manifest | None) -> Share | None:
    """The canary that a route carries, where it is in force beside what the Service points to."""
    written = names.annotations_of(found).get(names.CANARY, "") if found else ""
    try:
        share = Share(**json.loads(written)) if written else None
    except (ValueError, TypeError):  # changed by hand
        return None
    if share is None or stable is None or not 0 < share.share < ALL:
        return None
    notes = names.annotations_of(stable)
    current = notes.get(names.RELEASE, "")
    if not current or current == share.release or notes.get(names.WITHDRAWN) == share.release:
        return None
    if unwritten_rollback(notes):
        return None
    return share if order_on(stable) < share.order else None


def carried_share(cluster: Cluster, service: str) -> Share | None:
    """The canary that gets a share of the users of a service now. Raises as `follow`."""
    return share_on(_route(cluster, service), cluster.get("Service", service))


def make_known(cluster: Cluster, service: str, environment: Environment, release: str, clock: Clock) -> None:
    """Let the gateway know a release that is ready, without sending anybody there.

    Raises:
        Permanent: (gateway_missing, rollout_refused, cluster_denied)   Temporary: (cluster_unavailable)
    """
    if not _is_routed(cluster.get("Service", service), environment):
        return
    deployment = cluster.get("Deployment", names.object_name(release))
    if deployment is None:
        return
    apply_own(cluster, service, release_service(service, release, deployment))
    for _ in range(_TRIES):
        found = _route(cluster, service)
        weights = _weights(cluster, found)
        if release in weights:
            return
        if found is None:  # those who come through the gateway from now on get what is in use
            weights = _in_use(cluster, service)
        kept = share_on(found, cluster.get("Service", service))
        if _write(cluster, service, environment, {**weights, release: weights.get(release, 0)}, found, kept):
            clock.sleep(KNOWN_SECONDS)
            return
    raise _too_busy(cluster, service)


def follow(
    cluster: Cluster,
    service: str,
    environment: Environment,
    clock: Clock,
    without: str = "",
    *,
    anew: bool = False,
) -> None:
    """Send all who come through the gateway to the release that the stable Service points to, where there is a route
    or the environment names a gateway. A canary that is in force keeps its share, unless it is that of the release
    `without`. Done twice it changes nothing, unless the route is to be written `anew`. Raises as `make_known`."""
    for _ in range(_TRIES):
        stable = cluster.get("Service", service)
        if stable is None or not _is_routed(stable, environment):
            return
        release = in_use(stable)
        if release:
            make_known(cluster, service, environment, release, clock)
        found = _route(cluster, service)
        if found is None and (environment.traffic is None or not release):
            return
        kept = share_on(found, cluster.get("Service", service))
        if kept and kept.release == without:
            kept = None
        weights, kept = _shared(_weights(cluster, found), release, kept)
        if found is not None and not anew and _named(weights) == weights_of(found) and _carries(found, kept):
            return
        if _write(cluster, service, environment, weights, found, kept):
            log.info("The route of %s in %s now goes to %s.", service, cluster.namespace, release or "nobody")
            return
    raise _too_busy(cluster, service)


def give_share(
    cluster: Cluster, service: str, environment: Environment, share: Share, refuse: Callable[[Manifest | None], None]
) -> None:
    """Send a share of those who come through the gateway to a release that it knows already, and the others to the one
    in use. Done twice it changes nothing.

    Args:
        refuse: raises where the stable Service, as it is at that moment, was moved by something that was ordered later.

    Raises:
        Permanent: (rollout_superseded: also where a canary that was ordered later is in force; gateway_missing,
            cluster_denied; rollout_refused: the release, or the one in use, is gone from the route)
        Temporary: (cluster_unavailable)
    """
    for _ in range(_TRIES):
        found = _route(cluster, service)  # before the Service: whoever moves that comes to the route afterwards
        stable = cluster.get("Service", service)
        refuse(stable)
        other = share_on(found, stable)
        if other and other.release != share.release and other.order > share.order:
            raise Permanent(
                Reason.ROLLOUT_SUPERSEDED,
                f"{share.release} was ordered before {other.release}, which has {other.share} % of the users of "
                f"{service} in {cluster.namespace}; nothing was changed.",
            )
        known, current = _weights(cluster, found), in_use(stable)
        if found is None or share.release not in known or current not in known:
            raise Permanent(
                Reason.ROLLOUT_REFUSED,
                f"The route of {service} in {cluster.namespace} does not know {share.release} beside "
                f"{current or 'a release in use'}; somebody removed one of them. Release again.",
            )
        weights, kept = _shared(known, current, share)
        if _named(weights) == weights_of(found) and _carries(found, kept):
            return
        if _write(cluster, service, environment, weights, found, kept):
            log.info("%s now gets %d %% of the users of %s.", share.release, share.share, service)
            return
    raise _too_busy(cluster, service)


def _shared(known: Mapping[str, int], release: str, kept: Share | None) -> tuple[dict[str, int], Share | None]:
    """The weights where a release is in use, and perhaps another one has a share; that one, if it is there still."""
    weights = {other: 0 for other in known}
    if kept is None or not release or kept.release not in known:
        return weights | ({release: ALL} if release else {}), None
    return weights | {release: ALL - kept.share, kept.release: kept.share}, kept


def _carries(found: Manifest, kept: Share | None) -> bool:
    return names.annotations_of(found).get(names.CANARY, "") == _written(kept)


def _written(kept: Share | None) -> str:
    return json.dumps(asdict(kept), sort_keys=True) if kept else ""


def refuse_misrouted(cluster: Cluster, service: str, environment: Environment, release: str) -> None:
    """Raise Permanent (verify_wrong_release) where those who come through the gateway are sent elsewhere."""
    if environment.traffic is None:
        return
    found = _route(cluster, service)
    sent = {name for name, weight in weights_of(found).items() if weight} if found else set()
    canary = share_on(found, cluster.get("Service", service))
    if sent - ({names.object_name(canary.release)} if canary else set()) != {names.object_name(release)}:
        raise Permanent(
            Reason.VERIFY_WRONG_RELEASE,
            f"HTTPRoute {service} in {cluster.namespace} sends users to {', '.join(sorted(sent)) or 'nobody'}, "
            f"not to {names.object_name(release)} alone.",
        )


def _is_routed(stable: Manifest | None, environment: Environment) -> bool:
    """Whether users come through a gateway, or came through one that the service file names no more."""
    return environment.traffic is not None or (stable is not None and names.ROUTED in names.annotations_of(stable))


def _route(cluster: Cluster, service: str) -> Manifest | None:
    found = cluster.get("HTTPRoute", service)
    if found is not None:
        refuse_alien(found, service)
    return found


def _weights(cluster: Cluster, found: Manifest | None) -> dict[str, int]:
    """The weights of the releases in a route whose Services are there still."""
    weights = {}
    for name, weight in (weights_of(found) if found else {}).items():
        backend = cluster.get("Service", name)
        release = names.annotations_of(backend).get(names.RELEASE, "") if backend else ""
        if release:
            weights[release] = weight
    return weights


def _in_use(cluster: Cluster, service: str) -> dict[str, int]:
    """The weights of a route's beginning: what is in use has all."""
    current = in_use(cluster.get("Service", service))
    deployment = cluster.get("Deployment", names.object_name(current)) if current else None
    if deployment is None:
        return {}
    apply_own(cluster, service, release_service(service, current, deployment))
    return {current: ALL}


def _write(
    cluster: Cluster,
    service: str,
    environment: Environment,
    weights: Mapping[str, int],
    found: Manifest | None,
    kept: Share | None = None,
) -> bool:
    """Write the route if it is still as `found`; whether it was."""
    if environment.traffic is None and found is not None:  # the service file names no gateway any more
        return _reweigh(cluster, service, weights, found)
    manifest = route(service, environment, weights, {names.CANARY: _written(kept)} if kept else {}, found)
    if found is None:
        return cluster.create(manifest) is not None
    try:
        cluster.apply(manifest)
    except ClusterConflict:
        return False
    return True


def _reweigh(cluster: Cluster, service: str, weights: Mapping[str, int], found: Manifest) -> bool:
    """Change a route's weights alone, so that nobody who still comes through it is refused."""
    (rule, *_) = found["spec"]["rules"]
    known = {one["name"]: one for one in rule["backendRefs"]}
    some = next(iter(known.values()), None)
    if some is None:
        return True
    backends = [{**known.get(name, some), "name": name, "weight": weight} for name, weight in _named(weights).items()]
    metadata = {"resourceVersion": found["metadata"]["resourceVersion"], "annotations": {names.CANARY: None}}
    try:
        cluster.patch(
            "HTTPRoute", service, {"metadata": metadata, "spec": {"rules": [{**rule, "backendRefs": backends}]}}
        )
    except ClusterConflict:
        return False
    return True


def _named(weights: Mapping[str, int]) -> dict[str, int]:
    return {names.object_name(release): weight for release, weight in sorted(weights.items())}


def _too_busy(cluster: Cluster, service: str) -> Temporary:
    return Temporary(
        Reason.CLUSTER_UNAVAILABLE,
        f"HTTPRoute {service} in {cluster.namespace} is changed by others all the time; find out by whom.",
    )
