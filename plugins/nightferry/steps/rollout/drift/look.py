"""Look whether an environment runs what the record says. It changes nothing, and what could not be read is an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.state.drift import PASSPORT, POD_IMAGE, Drift
from nightferry.entities.state.service_state import ServiceState
from nightferry.entities.state.traffic import Traffic
from nightferry.errors import Permanent
from nightferry.manifests import names
from nightferry.steps.judging.drift.find_drift import (
    find_deployment_drift,
    find_pod_drift,
    find_service_drift,
    settled,
)
from nightferry.steps.judging.drift.find_route_drift import find_route_drift
from nightferry.steps.judging.reach_release import AskVersion
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import state_of
from nightferry.steps.rollout.await_ready import pods_of
from nightferry.steps.rollout.drift.under_way import under_way
from nightferry.steps.rollout.fence import order_on
from nightferry.steps.rollout.follow_route import share_on
from nightferry.steps.rollout.read_plan import read_plan
from nightferry.steps.rollout.settle_releases import deployments_of

Asker = Callable[[RolloutPlan], AskVersion]
"""What asks the pods of a release who they are."""


@dataclass(frozen=True)
class Look:
    """What was seen in one environment."""

    service: str
    environment: str
    release: str | None
    """What its users get, by the record; None: nothing, so there is nothing to compare."""
    under_way: str = ""
    """Why nothing was judged: traffic is being moved."""
    drifts: tuple[Drift, ...] = ()
    unseen: frozenset[str] = frozenset()
    """Of `Drift.what`, what this look could not see: of such a difference it does not say that it is gone."""


@dataclass(frozen=True)
class Scene:
    """What the record and the cluster say about one environment."""

    state: ServiceState
    traffic: Traffic
    plan: RolloutPlan
    """That of the release in use."""
    stable: Manifest | None
    deployments: dict[str, Manifest]


def read_scene(service: str, environment: str, *, cluster: Cluster, ledger: LedgerStore) -> Scene | None:
    """The record and the cluster, in this order; None for an environment whose users get nothing, by the record.

    Raises:
        Permanent: (ledger_behind: the Service was moved by an entry that the record does not have; decision_outdated,
            storage_denied, cluster_denied …)
        Temporary: (storage_unavailable, cluster_unavailable)
    """
    chain = Chain(ledger, service)
    state = state_of(chain)
    traffic = state.traffic.get(environment)
    if traffic is None or traffic.release is None:
        return None
    plan = read_plan(release_entries(ledger, traffic.release), environment)
    stable = cluster.get("Service", service)
    if stable and order_on(stable) > state.sequence and order_on(stable) > _head(ledger, service):
        raise Permanent(
            Reason.LEDGER_BEHIND,
            f"Service {service} in {cluster.namespace} was moved by entry {order_on(stable)} of the record, which ends "
            f"at entry {state.sequence}. Was the record restored from an older copy, or the Service changed by hand?",
        )
    return Scene(state, traffic, plan, stable, deployments_of(cluster, service))


def look(
    service: str,
    environment: str,
    *,
    cluster: Cluster,
    ledger: LedgerStore,
    clock: Clock,
    ask: Asker | None = None,
) -> Look:
    """How what runs in an environment differs from what the record says.

    Args:
        service: the service's name.
        environment: the environment's name.
        cluster: the namespace that it was decided to live in.
        ledger: the record.
        clock: for the time.
        ask: what asks the pods; left out, they are not asked.

    Raises as `read_scene`.
    """
    scene = read_scene(service, environment, cluster=cluster, ledger=ledger)
    if scene is None:
        return Look(service, environment, None)
    release = scene.traffic.release
    moving = under_way(scene.traffic, scene.stable, scene.deployments, clock)
    if moving:
        return Look(service, environment, release, moving)
    drifts, unseen = _compared(scene, service, cluster, ask)
    if drifts and not _stayed(scene, service, environment, cluster, ledger):
        return Look(service, environment, release, "Traffic was moved while it was looked at.")
    return Look(service, environment, release, drifts=tuple(drifts), unseen=unseen)


def _compared(scene: Scene, service: str, cluster: Cluster, ask: Asker | None) -> tuple[list[Drift], frozenset[str]]:
    plan = scene.plan
    deployment = cluster.get("Deployment", names.object_name(plan.release))
    drifts = find_service_drift(plan, scene.stable) + find_deployment_drift(plan, deployment)
    drifts += route_drift(cluster, plan, scene.stable)
    # Pods are made anew after a change of their Deployment: until that is over they are neither right nor wrong.
    if deployment is None or not settled(deployment) or any(one.what == "image" for one in drifts):
        return drifts, frozenset({POD_IMAGE, PASSPORT})
    pods = pods_of(cluster, service, plan.release)
    drifts += find_pod_drift(plan, pods, ask(plan) if ask else None)
    return drifts, frozenset() if ask else frozenset({PASSPORT})


def route_drift(cluster: Cluster, plan: RolloutPlan, stable: Manifest | None) -> list[Drift]:
    """How the route differs, where there is to be one; a canary that is in force has its share. Raises as `look`."""
    if plan.environment.traffic is None:
        return []
    found = cluster.get("HTTPRoute", plan.service)
    canary = share_on(found, stable)
    shares = {plan.release: 100 - canary.share, canary.release: canary.share} if canary else {plan.release: 100}
    return find_route_drift(plan, found, shares)


def _stayed(scene: Scene, service: str, environment: str, cluster: Cluster, ledger: LedgerStore) -> bool:
    """Whether nothing was moved since the record was read."""
    state = state_of(Chain(ledger, service))
    stable = cluster.get("Service", service)
    notes = [names.annotations_of(one) if one else None for one in (scene.stable, stable)]
    return state.traffic.get(environment) == scene.traffic and notes[0] == notes[1]


def _head(ledger: LedgerStore, service: str) -> int:
    """The record's newest entry as it is by now: the Service was read after the state."""
    head = Chain(ledger, service).head
    return head.sequence if head else 0
