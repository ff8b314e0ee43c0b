"""The task that builds the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightferry import settings
from nightferry.clients.clock import SystemClock
from nightferry.entities.decision import Decision
from nightferry.hooks.buildkit import BUILDKIT, BuildKitHook
from nightferry.hooks.registry import REGISTRY, RegistryHook
from nightferry.operators.model.check_model import MODEL_FOLDER
from nightferry.operators.step import Outcome, StepOperator, present_model, sources
from nightferry.steps.image.build_image import build_image


class BuildImageOperator(StepOperator):
    """Finds the image of the decision's inputs, or has BuildKit build it."""

    template_fields: Sequence[str] = (*StepOperator.template_fields, "model_folder")

    def __init__(
        self,
        *,
        model_folder: str = MODEL_FOLDER,
        buildkit_conn_id: str = BUILDKIT,
        registry_conn_id: str = REGISTRY,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_folder = model_folder
        self.buildkit_conn_id = buildkit_conn_id
        self.registry_conn_id = registry_conn_id

    def step(self, decision: Decision) -> Outcome:
        """Build the image, and pass on the candidate's digest."""
        now, registry = settings.load(), RegistryHook(self.registry_conn_id)
        built = build_image(
            decision=decision,
            spec=self.spec,
            model_folder=present_model(self.model_folder, decision, self.spec, self.storage_conn_id),
            builder=BuildKitHook(self.buildkit_conn_id).builder(registry),
            registry=registry.registry(),
            sources=sources(now, self.spec, self.storage_conn_id),
            clock=SystemClock(),
        )
        did = "An image of the same inputs was there already" if built.reused else "Image built"
        return Outcome(f"{did}: {built.image}.", {"candidate_image": built.image, "reused": built.reused})
