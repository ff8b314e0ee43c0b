"""A drill on a scene: its production is copied into a second namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry.clients import connect
from nightferry.clients.azure.scratch_ledger import TRIAL, scratch_ledger
from nightferry.clients.clock import SystemClock
from nightferry.clients.kube.cluster import KubeCluster
from nightferry.drill.callers import Callers, known_answers
from nightferry.drill.drill import Drill, Production
from nightferry.drill.machine import NoMachine
from nightferry.drill.trial import Doors, Trial
from nightferry.entities.service_spec import ModelSource
from nightferry.manifests import names
from nightferry.steps.judging.questions import golden_questions
from nightferry.steps.model.fetch_golden import fetch_golden
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import decision_of, state_of
from nightferry.steps.rollout.read_plan import read_plan

from tests.e2e.rollout_scene import SERVICE, RolloutScene


class DrillScene:
    """The trial namespace and record of a scene."""

    def __init__(self, scene: RolloutScene) -> None:
        self.scene = scene
        self.name = f"{scene.name}-trial"
        self.ledger_name = f"{scene.name}-ledger"
        self.said: list[str] = []

    def begin(self) -> None:
        from kubernetes import client

        level = {"pod-security.kubernetes.io/enforce": "restricted", names.MANAGED_BY: "nightferry"}
        client.CoreV1Api(self.scene._api).create_namespace({"metadata": {"name": self.name, "labels": level}})

    @contextmanager
    def drill(self, folder: Path) -> Iterator[tuple[Drill, Trial]]:
        """A drill of what the scene's production serves."""
        scene, clock = self.scene, SystemClock()
        chain = Chain(scene.ledger, SERVICE)
        state = state_of(chain)
        assert state.in_use
        decision = decision_of(chain, state, state.in_use)
        assert decision
        plan = read_plan(release_entries(scene.ledger, state.in_use), "production")
        storage = connect.storage(scene.settings)
        models = connect.models(scene.settings, ModelSource(repository=plan.model_repository))
        environment = scene._environment() | {
            "NIGHTFERRY_KUBECONFIG": str(scene.settings.home / "kubernetes" / "admin.kubeconfig"),
            "NIGHTFERRY_LEDGER": self.ledger_name + TRIAL,
        }
        trial = Trial(
            decision,
            plan,
            doors=Doors(KubeCluster(scene._api, self.name), scratch_ledger(storage, self.ledger_name), models, clock),
            machine=NoMachine("the tests leave the sandbox's parts alone", environment),
            folder=folder,
            actor="test",
        )
        manifest = fetch_golden(plan.model, models, folder / "production")
        known = known_answers(scene.address(), manifest, golden_questions(manifest, folder / "production")[:5])
        production = Production(
            lambda: Callers(scene.address(), manifest, known, ("new", "kept"), pause=0.2),
            lambda: scene.in_use() != plan.release,
        )
        yield Drill(trial, production, self.said.append), trial
