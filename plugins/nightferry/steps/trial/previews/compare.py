"""Compare a preview with the release in use, as the gate of a rollout does."""

from __future__ import annotations

from pathlib import Path

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.manifests import names
from nightferry.steps.judging.reach_release import Address
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.rollout.gates.compare_releases import Addresses, compare_releases


def compare_preview(
    plan: RolloutPlan,
    *,
    users: Cluster,
    in_use: Address,
    candidate: Address,
    models: ModelRepository,
    golden: Path,
    scratch: Path,
    clock: Clock,
) -> PredictionDiff | None:
    """Ask both the preview's golden examples, the checks of its app, and what users asked lately.

    Args:
        plan: of the preview.
        users: the namespace whose users get the release in use.
        in_use: where they call it.
        candidate: where the preview is called.
        models: the model repository.
        golden: the folder with the preview's model.json and golden examples.
        scratch: a folder for the other's model.json.
        clock: for the times.

    Returns None where nothing is in use. Raises as `compare_releases`.
    """
    stable = users.get("Service", plan.service)
    if stable is None or not names.annotations_of(stable).get(names.RELEASE):
        return None
    return compare_releases(
        plan,
        stable,
        Addresses(in_use(), candidate()),
        cluster=users,
        models=models,
        manifest=read_manifest(golden)[0],
        golden=golden,
        scratch=scratch,
        clock=clock,
    )
