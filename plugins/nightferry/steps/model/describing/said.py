"""What a model's author says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.check_model import is_number


@dataclass(frozen=True)
class Said:
    """What the model's author says, beside what the model says of itself."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    scores: str | None = None
    image: Mapping[str, Any] | None = None
    """The member `image` of model.json."""
    examples: Path | None = None
    answer: str | None = None
    """The column of the examples that has the label, if it is called otherwise."""
    version: str | None = None
    author: str | None = None


def checked_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics as JSON holds them: numbers as Python's own, and texts, such as what they were measured on.

    Raises:
        Permanent: (model_manifest_invalid) one is no number that JSON has, and no text.
    """
    found: dict[str, Any] = {}
    for name, value in metrics.items():
        plain = value.item() if hasattr(value, "item") else value
        if not isinstance(plain, str) and not is_number(plain):
            raise Permanent(Reason.MODEL_MANIFEST_INVALID, f"The metric {name} is {plain!r}; give a number.")
        found[str(name)] = plain
    return found


def checked_labels(labels: Sequence[Any]) -> tuple[str, ...]:
    """Labels as texts.

    Raises:
        Permanent: (model_labels_wrong) one is empty or there twice.
    """
    found = tuple(str(label).strip() for label in labels)
    for number, label in enumerate(found):
        if not label or label in found[:number]:
            what = f"{label!r} is there twice" if label else "one is empty"
            raise Permanent(
                Reason.MODEL_LABELS_WRONG, f"The labels {', '.join(found)} are no names of classes: {what}."
            )
    return found
