"""The task that runs the app's unit tests, while the model is fetched and the image is built. Tests that need the model
wait for it: whoever comes first fetches it."""

from __future__ import annotations

from typing import Any

from nightferry import settings
from nightferry.entities.decision import Decision
from nightferry.hooks.buildkit import BUILDKIT, BuildKitHook
from nightferry.hooks.registry import REGISTRY, RegistryHook
from nightferry.operators.step import Outcome, StepOperator, present_model, sources
from nightferry.steps.image import test_source as tests

SAID = {
    "ran": "The app's unit tests passed.",
    "released": "An image of the same inputs was released before: its unit tests passed then.",
    "none": "The service has no unit tests.",
}


class TestSourceOperator(StepOperator):
    """Has BuildKit run the unit tests in the image's test stage."""

    __test__ = False  # the name starts like a test class's; pytest must not collect it

    def __init__(self, *, buildkit_conn_id: str = BUILDKIT, registry_conn_id: str = REGISTRY, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.buildkit_conn_id = buildkit_conn_id
        self.registry_conn_id = registry_conn_id

    def step(self, decision: Decision) -> Outcome:
        """Run the unit tests."""
        now, registry = settings.load(), RegistryHook(self.registry_conn_id)
        tested = tests.test_source(
            decision=decision,
            spec=self.spec,
            builder=BuildKitHook(self.buildkit_conn_id).builder(registry),
            registry=registry.registry(),
            sources=sources(now, self.spec, self.storage_conn_id),
            model=lambda: present_model("", decision, self.spec, self.storage_conn_id),
        )
        return Outcome(SAID[tested], {"tests": tested})
