"""Put back what was changed by hand: the release's Deployment, the Service and the route, as the record says.

It is no movement of its own: it restores what the newest order on the record made, with that order as the fence, so
that a release which was decided before it still comes into use. A Service that carries a later order is left alone,
and every change is conditional on what was read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, ClusterConflict, Manifest
from nightferry.entities.pod_state import CONTAINER
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.state.traffic import Traffic
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names, policies
from nightferry.manifests import service as services
from nightferry.manifests.deployment import deployment as deployment_of
from nightferry.steps.judging.drift.find_drift import allowed_replicas, find_deployment_drift, find_service_drift
from nightferry.steps.rollout.drift.look import route_drift
from nightferry.steps.rollout.fence import order_on
from nightferry.steps.rollout.follow_route import follow
from nightferry.steps.rollout.own_objects import refuse_alien
from nightferry.steps.rollout.settle_releases import mark_served

_TRIES = 5
_KEPT = (names.PREVIOUS, names.SWITCHED, names.WITHDRAWN, names.ROLLBACK, names.VERDICT, names.ROUTED)
"""What tells how the Service came to its release, and that a route follows it; it stays."""
log = logging.getLogger(__name__)


def put_back_deployment(cluster: Cluster, plan: RolloutPlan, traffic: Traffic, clock: Clock) -> None:
    """Make the release's Deployment what a rollout writes; where it is gone, with what stands around it.

    Raises:
        Permanent: (rollout_superseded; rollout_refused: it is somebody else's, or the cluster does not accept it;
            cluster_denied)
        Temporary: (cluster_unavailable)
    """
    name = names.object_name(plan.release)

    def write() -> bool:
        found = cluster.get("Deployment", name)
        _refuse_moved(cluster.get("Service", plan.service), plan, traffic)
        if found is None:
            _make_anew(cluster, plan, clock)
            return True
        refuse_alien(found, plan.service)
        if not find_deployment_drift(plan, found):
            return True
        return cluster.patch("Deployment", name, _changes(plan, found)) is not None

    _conditionally(write, f"Deployment {name} in {cluster.namespace}")
    log.info("Deployment %s in %s is as the record says.", name, cluster.namespace)


def put_back_service(cluster: Cluster, plan: RolloutPlan, traffic: Traffic) -> None:
    """Point the stable Service to the plan's release again.

    Args:
        cluster: the namespace.
        plan: that of the release in use.
        traffic: what the record says of the environment.

    Raises:
        Permanent: (rollout_superseded; rollout_refused, cluster_denied)   Temporary: (cluster_unavailable)
    """

    def write() -> bool:
        found = cluster.get("Service", plan.service) or cluster.create(services.unused(plan.service))
        if found is None:  # someone else made it just now
            return False
        refuse_alien(found, plan.service)
        _refuse_moved(found, plan, traffic)
        drifts = find_service_drift(plan, found)
        if any(one.what.startswith("port ") for one in drifts):
            found = _ports_back(cluster, plan, found)
        if found and drifts:
            kept = {name: value for name, value in names.annotations_of(found).items() if name in _KEPT}
            notes = _told(traffic) | kept | {names.ORDER: str(traffic.order)}
            identity = names.identity(plan)
            cluster.apply(services.stable(plan.service, identity, plan.environment, notes=notes, found=found))
        return found is not None

    _conditionally(write, f"Service {plan.service} in {cluster.namespace}")
    log.info("Service %s in %s is as the record says.", plan.service, cluster.namespace)


def put_back_route(cluster: Cluster, plan: RolloutPlan, traffic: Traffic, clock: Clock) -> None:
    """Write the route as a rollout does, to where the Service points; that is put back before.

    Raises:
        Permanent: (rollout_superseded, rollout_refused, cluster_denied, gateway_missing)
        Temporary: (cluster_unavailable)
    """
    stable = cluster.get("Service", plan.service)
    _refuse_moved(stable, plan, traffic)
    if route_drift(cluster, plan, stable):
        follow(cluster, plan.service, plan.environment, clock, anew=True)
        log.info("HTTPRoute %s in %s is as the record says.", plan.service, cluster.namespace)


def _refuse_moved(stable: Manifest | None, plan: RolloutPlan, traffic: Traffic) -> None:
    """The fence: what was ordered after what the record was read to say is not undone."""
    if stable and order_on(stable) > traffic.order:
        raise Permanent(
            Reason.ROLLOUT_SUPERSEDED,
            f"Service {plan.service} was moved by entry {order_on(stable)} of the record, after {plan.release} came "
            "into use; nothing was changed.",
        )


def _told(traffic: Traffic) -> dict[str, str]:
    """How the Service came to its release, by the record: for one that does not say it any more."""
    said = {names.PREVIOUS: traffic.previous or "", names.SWITCHED: traffic.since}
    return {name: value for name, value in said.items() if value}


def _make_anew(cluster: Cluster, plan: RolloutPlan, clock: Clock) -> None:
    made = cluster.apply(deployment_of(plan))
    cluster.apply(policies.disruption_budget(made))
    if plan.environment.egress:
        cluster.apply(policies.egress(made, plan.environment.egress))
    if plan.environment.autoscale:
        cluster.apply(policies.autoscaler(made, plan.environment.autoscale))
    mark_served(cluster, plan.release, clock)


def _changes(plan: RolloutPlan, found: Manifest) -> Manifest:
    """What makes a Deployment as it was written: lists are replaced, so that what others added to them goes."""
    wanted = deployment_of(plan)
    least, most = allowed_replicas(plan)
    has = int(found["spec"].get("replicas", 1))
    spec: dict[str, Any] = {"replicas": min(max(has, least), most)} if not least <= has <= most else {}
    if any(not one.what.startswith(("replicas", "label ")) for one in find_deployment_drift(plan, found)):
        (ours,) = wanted["spec"]["template"]["spec"]["containers"]
        theirs = found["spec"]["template"]["spec"]["containers"]
        same: Manifest = next((one for one in theirs if one.get("name") == CONTAINER), {})
        # null removes, where there is something to remove.
        pod: dict[str, Any] = {"containers": [_container(ours, same)], "initContainers": None}
        spec["template"] = {"spec": pod}
    metadata = {"resourceVersion": found["metadata"]["resourceVersion"], "labels": wanted["metadata"]["labels"]}
    return {"metadata": metadata, **({"spec": spec} if spec else {})}


def _container(ours: Manifest, theirs: Manifest) -> Manifest:
    """The container with what a rollout sets, and what the server and others added elsewhere."""
    settled = {name: value for name, value in theirs.items() if name not in ("command", "args", "envFrom")}
    resources = theirs.get("resources") or {}
    amounts = {kind: {**(resources.get(kind) or {}), **ours["resources"][kind]} for kind in ours["resources"]}
    return {**ours, **settled, **_set(ours), "resources": {**resources, **amounts}}


def _set(ours: Manifest) -> Manifest:
    return {name: ours[name] for name in ("image", "env", "envFrom", "command", "args") if name in ours}


def _ports_back(cluster: Cluster, plan: RolloutPlan, found: Manifest) -> Manifest | None:
    """Replace the Service's ports, and keep the node's port, which is part of the users' address. An apply would leave
    a port whose number was changed beside its own, under the same name."""
    kept = next((one["nodePort"] for one in found["spec"].get("ports") or [] if one.get("nodePort")), None)
    wanted = services.unused(plan.service)["spec"]["ports"]
    ports = [{**one, **({"nodePort": kept} if kept else {})} for one in wanted]
    metadata = {"resourceVersion": found["metadata"]["resourceVersion"]}
    return cluster.patch("Service", plan.service, {"metadata": metadata, "spec": {"ports": ports}})


def _conditionally(write: Callable[[], bool], what: str) -> None:
    for _ in range(_TRIES):
        with suppress(ClusterConflict):
            if write():
                return
    raise Temporary(Reason.CLUSTER_UNAVAILABLE, f"{what} is changed by others all the time; find out by whom.")
