"""The route follows the stable Service: who comes through the gateway gets the release that the Service points to.

The Service alone is fenced and moved by orders. The route is derived from it, so whoever comes here, in whatever order
and however often, leaves it where the Service points; killed in between, it still leads to a release that is warm.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from nightferry.clients.clock import Clock
from nightferry.clients.cluster import Cluster, ClusterConflict, Manifest
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Environment
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.manifests.route import release_service, route, weights_of
from nightferry.steps.rollout.own_objects import apply_own, refuse_alien
from nightferry.steps.rollout.switch_service import in_use

KNOWN_SECONDS = 1.0
"""How long a gateway is given to learn where a release's pods are, before it sends users there (ADR 19)."""
ALL = 100
_TRIES = 10
log = logging.getLogger(__name__)


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
        if _write(cluster, service, environment, {**weights, release: weights.get(release, 0)}, found):
            clock.sleep(KNOWN_SECONDS)
            return
    raise _too_busy(cluster, service)


def follow(cluster: Cluster, service: str, environment: Environment, clock: Clock) -> None:
    """Send all who come through the gateway to the release that the stable Service points to, where there is a route
    or the environment names a gateway. Done twice it changes nothing. Raises as `make_known`."""
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
        weights = {other: 0 for other in _weights(cluster, found)} | ({release: ALL} if release else {})
        if found is not None and _named(weights) == weights_of(found):
            return
        if _write(cluster, service, environment, weights, found):
            log.info("The route of %s in %s now goes to %s.", service, cluster.namespace, release or "nobody")
            return
    raise _too_busy(cluster, service)


def refuse_misrouted(cluster: Cluster, service: str, environment: Environment, release: str) -> None:
    """Raise Permanent (verify_wrong_release) where those who come through the gateway are sent elsewhere."""
    if environment.traffic is None:
        return
    found = _route(cluster, service)
    sent = {name for name, weight in weights_of(found).items() if weight} if found else set()
    if sent != {names.object_name(release)}:
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
    cluster: Cluster, service: str, environment: Environment, weights: Mapping[str, int], found: Manifest | None
) -> bool:
    """Write the route if it is still as `found`; whether it was."""
    if environment.traffic is None and found is not None:  # the service file names no gateway any more
        return _reweigh(cluster, service, weights, found)
    manifest = route(service, environment, weights, {}, found)
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
    metadata = {"resourceVersion": found["metadata"]["resourceVersion"]}
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
