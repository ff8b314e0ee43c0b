"""The task that publishes the tested image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightferry.entities.decision import Decision
from nightferry.hooks.registry import REGISTRY, RegistryHook
from nightferry.operators.run_facts import NOTHING, left_nothing
from nightferry.operators.step import Outcome, StepOperator
from nightferry.steps.image.publish_image import publish_image
from nightferry.steps.image.test_image import TestedImage

TESTED = "{{ ti.xcom_pull(task_ids='test_image') | tojson }}"
"""The template of a field that holds the tested image."""


class PublishImageOperator(StepOperator):
    """Copies the tested image, same digest, into the release repository."""

    template_fields: Sequence[str] = (*StepOperator.template_fields, "tested")

    def __init__(self, *, tested: str = TESTED, registry_conn_id: str = REGISTRY, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tested = tested
        self.registry_conn_id = registry_conn_id

    def step(self, decision: Decision) -> Outcome:
        """Publish the tested image, and pass on the released one."""
        if self.tested in NOTHING:
            raise left_nothing("test_image")
        published = publish_image(
            decision=decision,
            spec=self.spec,
            tested=TestedImage.model_validate_json(self.tested),
            registry=RegistryHook(self.registry_conn_id).registry(),
        )
        return Outcome(f"Published {published}.", {"image": str(published)})
