"""Roll a release of the trial out, as a deployer does: under the service's Lease, by the same steps, watched for the
time that the release's strategy says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.clients.doors.service_figures import ServiceFigures
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.manifests.service import candidate_name
from nightferry.steps.judging.reach_release import ask_app, ask_version
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.rollout.fence import Orders
from nightferry.steps.rollout.gates.compare_releases import Addresses, compare_releases
from nightferry.steps.rollout.lease.claims import of_rollout
from nightferry.steps.rollout.lease.give_way import take_away
from nightferry.steps.rollout.lease.leased_cluster import hold
from nightferry.steps.rollout.prepare_probe import prepare_probe
from nightferry.steps.rollout.roll_out import roll_out
from nightferry.steps.rollout.strategies.bake import Bake
from nightferry.steps.rollout.verify_release import verify_release

NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Doors:
    """What a rollout of the trial meets; a fault puts something else in the place of one."""

    cluster: Cluster
    ledger: LedgerStore
    models: ModelRepository
    clock: Clock
    figures: Callable[[RolloutPlan, Cluster], ServiceFigures | None]
    """What reads a plan's figures, in this namespace; None: nobody counts its requests."""


def carry_out(plan: RolloutPlan, to: Doors, folder: Path) -> None:
    """Roll a release out and verify it. Raises as `roll_out`, `verify_release` and `Lease.take`.

    Args:
        plan: what to roll out.
        to: what it meets.
        folder: for golden examples.
    """
    ask = ask_app(plan.app) if plan.app else ask_version
    prepare = cache(lambda: prepare_probe(plan, to.models, folder / plan.release, to.clock))
    claim, orders = of_rollout(plan, needed=True), Orders(to.ledger, plan.service)
    with hold(lambda guard: guard(to.cluster), claim, to.clock, at_once=True) as held:
        candidate = partial(cluster_address, held.cluster, candidate_name(plan.service))
        stable = partial(cluster_address, held.cluster, plan.service)
        held.cluster.get("Lease", plan.service)  # the first call takes it
        take_away(held, plan.environment, to.clock)
        roll_out(
            plan,
            cluster=held.cluster,
            candidate=candidate,
            prepare=prepare,
            ask=ask,
            compare=partial(_compare, plan, to, held.cluster, folder),
            ledger=to.ledger,
            orders=orders,
            clock=to.clock,
        )
        verify_release(
            plan,
            cluster=held.cluster,
            address=stable,
            probe=prepare(),
            ask=ask,
            ledger=to.ledger,
            orders=orders,
            clock=to.clock,
            bake=Bake(plan, to.figures(plan, held.cluster), to.ledger, to.clock),
        )


def cluster_address(cluster: Cluster, name: str) -> str:
    """Where a Service is called within the cluster, and on its nodes."""
    found = cluster.get("Service", name)
    return f"http://{found['spec']['clusterIP']}" if found else NOWHERE


def _compare(plan: RolloutPlan, to: Doors, cluster: Cluster, folder: Path, stable: Manifest) -> PredictionDiff:
    golden = folder / plan.release
    users, beside = (cluster_address(cluster, name) for name in (plan.service, candidate_name(plan.service)))
    return compare_releases(
        plan,
        stable,
        Addresses(users, beside),
        cluster=cluster,
        models=to.models,
        manifest=read_manifest(golden)[0],
        golden=golden,
        scratch=folder / "in-use",
        clock=to.clock,
    )
