"""The task that checks the model before anything is built from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightferry.entities.decision import Decision
from nightferry.operators.step import Outcome, StepOperator, present_model
from nightferry.steps.model.check_model import check_model

MODEL_FOLDER = "{{ (ti.xcom_pull(task_ids='fetch_model') or {}).get('folder', '') }}"
"""The template of a field that holds the fetched model's folder; empty where the task was marked as done by hand."""


class CheckModelOperator(StepOperator):
    """Opens the model as the service will, compares it with its declaration, and applies the gates."""

    template_fields: Sequence[str] = (*StepOperator.template_fields, "model_folder")

    def __init__(self, *, model_folder: str = MODEL_FOLDER, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_folder = model_folder

    def step(self, decision: Decision) -> Outcome:
        """Check the model."""
        folder = present_model(self.model_folder, decision, self.spec, self.storage_conn_id)
        facts = check_model(folder, self.spec).facts
        return Outcome(f"Model {facts['version']} is what model.json says it is.{_metrics(facts)}", facts)


def _metrics(facts: dict[str, Any]) -> str:
    said = []
    for name, value in facts["metrics"].items():
        gate = f", gate {facts['gates'][name]}" if name in facts["gates"] else ""
        said.append(f"{name[0].upper()}{name[1:]} {value}{gate}.")
    return "".join(f" {sentence}" for sentence in said)
