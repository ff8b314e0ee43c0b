"""Fetch what a release is asked beforehand, so that asking needs nobody but the release."""

from __future__ import annotations

from pathlib import Path

from nightferry.clients.clock import Clock
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.manifests import names
from nightferry.steps.judging.probe_release import probe_of
from nightferry.steps.judging.reach_release import REACH_SECONDS, Probe
from nightferry.steps.model.fetch_golden import fetch_golden


def prepare_probe(plan: RolloutPlan, models: ModelRepository, folder: Path, clock: Clock) -> Probe:
    """Fetch the golden examples into `folder`; what asks them, and the contract, of an address. Raises as
    `fetch_golden`."""
    manifest = fetch_golden(plan.model, models, folder)
    return probe_of(plan.app, manifest, folder, names.passport(plan), clock, REACH_SECONDS)
