"""Scores become the best labels, in percent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving_app.model.model_dir import ModelDir

TOP_K = 3


def number(value: float) -> float | str:
    """Return what JSON has for a number: itself, or "NaN", "Infinity" or "-Infinity", which JSON has no number for."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def best_labels(scores: NDArray[Any], model: ModelDir) -> list[list[list[str | float]]]:
    """Return for each row the best labels, best first, as `[label, percent]`; percent is 0 to 100."""
    rows = scores.reshape(len(scores), -1).astype(np.float64)
    if rows.shape[1] == 1 and len(model.labels) == 2:  # how sure the model is of the second label
        second = 1 / (1 + np.exp(-rows)) if model.scores == "logits" else rows
        rows = np.hstack([1 - second, second])
    elif model.scores == "logits":
        rows = np.exp(rows - rows.max(axis=1, keepdims=True))
        rows /= rows.sum(axis=1, keepdims=True)
    count = min(model.image.top_k if model.image else TOP_K, rows.shape[1], len(model.labels))
    order = np.argsort(-rows, axis=1, kind="stable")[:, :count]
    return [
        [[model.labels[column], number(float(row[column]) * 100)] for column in columns]
        for row, columns in zip(rows, order.tolist(), strict=True)
    ]
