"""Are the scores that a model gives the probabilities that they are declared as?"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightferry.clients.service_client import ServiceClient
from nightferry.entities.model_version import ModelManifest, Tensor

ROUNDING = 1e-6
"""By so much a probability may be below 0 or above 1."""
SUM = 0.01
"""By so much a row of probabilities may miss 1: half precision is that rough."""
LARGE = 500_000
"""Numbers of an input that is not asked with zeros in JSON."""


@dataclass(frozen=True)
class Scores:
    """The first row that is no distribution, in a few words; "" when there is none."""

    outside: str = ""
    sums: str = ""


def look_at_scores(client: ServiceClient, manifest: ModelManifest, folder: Path, most: int) -> Scores:
    """Ask the golden examples and look at what is declared as probabilities.

    Args:
        client: a running service.
        manifest: of its model.
        folder: where the golden examples' files are.
        most: how many examples are asked.
    """
    if manifest.scores != "probabilities" or not manifest.labels:
        return Scores()
    sums = ""
    for name, inputs in golden_inputs(manifest, folder, most):
        for row in _rows(client, manifest, inputs):
            wrong = [value for value in row if not _is_probability(value)]
            if wrong:
                return Scores(outside=f"{name} gets {_shown(wrong[0])}", sums=sums)
            if not sums and len(row) > 1 and abs(sum(row) - 1) > SUM:
                sums = f"the row of {name} adds up to {sum(row):.3g}"
    return Scores(sums=sums)


def zeros(manifest: ModelManifest) -> list[dict[str, Any]] | None:
    """The inputs of an infer request of zeros; None if it would be too large for JSON, or if golden examples are asked,
    for which the model is made."""
    if manifest.golden:
        return None
    inputs = [_zeros(tensor, manifest) for tensor in manifest.inputs]
    return inputs if sum(len(tensor["data"]) for tensor in inputs) <= LARGE else None


def _zeros(tensor: Tensor, manifest: ModelManifest) -> dict[str, Any]:
    shape = [1 if size == -1 else size for size in tensor.shape]
    if manifest.image:
        shape = [1, *manifest.image.shape]
    zero: Any = {"BYTES": "", "BOOL": False}.get(tensor.datatype, 0)
    count = min(math.prod(shape), LARGE + 1)
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": shape, "data": [zero] * count}


def golden_inputs(manifest: ModelManifest, folder: Path, most: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the name and the infer request's inputs of each golden example, `most` of them."""
    for index, example in enumerate(manifest.golden[:most]):
        if "image" in example and manifest.image:
            text = base64.b64encode((folder / str(example["image"])).read_bytes()).decode()
            tensor = {"name": manifest.image.input, "datatype": "BYTES", "shape": [1], "data": [text]}
            yield str(example["image"]), [tensor]
        elif "inputs" in example:
            yield f"golden example {index}", example["inputs"]


def _rows(client: ServiceClient, manifest: ModelManifest, inputs: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """The rows of scores; none where there is no answer, which asking the golden examples tells."""
    answer = client.post(f"/v2/models/{manifest.service}/infer", {"inputs": inputs})
    document = answer.document()
    if answer.status != 200 or not isinstance(document, dict):
        return
    data = next(output["data"] for output in document["outputs"] if output["name"] == manifest.scored.name)
    width = len(data) // max(1, document["outputs"][0]["shape"][0])
    for start in range(0, len(data), width):
        yield data[start : start + width]


def _is_probability(value: Any) -> bool:
    return isinstance(value, int | float) and -ROUNDING <= value <= 1 + ROUNDING


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "no number"
