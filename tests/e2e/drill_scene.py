"""A drill on a scene: its production is copied into a namespace of its own."""

from __future__ import annotations

from pathlib import Path

from nightferry.clients import connect
from nightferry.clients.azure.scratch_ledger import TRIAL, scratch_ledger
from nightferry.clients.clock import SystemClock
from nightferry.clients.kube.cluster import KubeCluster
from nightferry.drill.callers import Callers, known_answers
from nightferry.drill.carry_out import Doors
from nightferry.drill.drill import Drill, Production
from nightferry.drill.machine import NoMachine
from nightferry.drill.trial import Trial
from nightferry.entities.service_spec import ModelSource
from nightferry.manifests import names
from nightferry.steps.judging.figures.figures_of import figures_of
from nightferry.steps.judging.questions import golden_questions
from nightferry.steps.model.fetch_golden import fetch_golden
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import decision_of, state_of
from nightferry.steps.rollout.read_plan import read_plan

from tests.e2e.rollout_scene import SERVICE, RolloutScene


def trial_namespace(scene: RolloutScene, what: str) -> KubeCluster:
    """Another namespace of the scene, removed with it."""
    from kubernetes import client

    name = f"{scene.name}-{what}"
    level = {"pod-security.kubernetes.io/enforce": "restricted", names.MANAGED_BY: "nightferry"}
    client.CoreV1Api(scene._api).create_namespace({"metadata": {"name": name, "labels": level}})
    return KubeCluster(scene._api, name)


def drill_of(scene: RolloutScene, cluster: KubeCluster, folder: Path) -> tuple[Drill, Trial]:
    """A drill of what the scene's production serves; it leaves the sandbox's parts alone."""
    chain = Chain(scene.ledger, SERVICE)
    state = state_of(chain)
    decision = decision_of(chain, state, state.in_use)
    assert state.in_use
    assert decision
    plan = read_plan(release_entries(scene.ledger, state.in_use), "production")
    models = connect.models(scene.settings, ModelSource(repository=plan.model_repository))
    ledger = f"{scene.name}-ledger"
    environment = scene._environment() | {
        "NIGHTFERRY_KUBECONFIG": str(scene.settings.home / "kubernetes" / "admin.kubeconfig"),
        "NIGHTFERRY_LEDGER": ledger + TRIAL,
    }
    record = scratch_ledger(connect.storage(scene.settings), ledger)
    doors = Doors(
        cluster, record, models, SystemClock(), lambda plan, cluster: figures_of(plan, scene.settings, cluster)
    )
    machine = NoMachine("the tests leave the sandbox's parts alone.", environment)
    trial = Trial(decision, plan, doors=doors, machine=machine, folder=folder, actor="test")
    golden = folder / "production"
    manifest = fetch_golden(plan.model, models, golden)
    known = known_answers(scene.address(), manifest, golden_questions(manifest, golden)[:5])
    production = Production(
        lambda: Callers(scene.address(), manifest, known, ("new", "kept"), pause=0.2),
        lambda: scene.in_use() != plan.release,
    )
    return Drill(trial, production, print), trial
