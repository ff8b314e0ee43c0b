"""Check a fetched model before anything is built with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightferry.entities.model_version import ModelManifest
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent
from nightferry.steps.model.check_signature import check_signature
from nightferry.steps.model.model_folder import read_manifest


@dataclass(frozen=True)
class CheckedModel:
    """A model that may be released."""

    facts: dict[str, Any]
    """What was found, as plain JSON types: for the record."""


def check_model(folder: Path, spec: ServiceSpec) -> CheckedModel:
    """Open the model as the service will, hold it against its manifest, and apply the gates.

    Args:
        folder: the version's folder, its files already verified.
        spec: the service, with its gates.

    Raises:
        Permanent: (model_manifest_invalid, model_not_onnx, model_signature_wrong, model_labels_wrong, gate_accuracy)
    """
    manifest, _ = read_manifest(folder)
    signature = check_signature(folder, manifest)
    return CheckedModel(
        {
            "version": manifest.version,
            "author": manifest.author,
            "size": manifest.size,
            "labels": len(manifest.labels),
            **signature,
            **_check_accuracy(manifest, spec),
        }
    )


def _check_accuracy(manifest: ModelManifest, spec: ServiceSpec) -> dict[str, Any]:
    gate, accuracy = spec.gates.accuracy, manifest.metrics.get("accuracy")
    number = isinstance(accuracy, int | float) and not isinstance(accuracy, bool) and math.isfinite(accuracy)
    if not gate:
        return {"accuracy": accuracy} if number else {}
    if not number:
        raise Permanent(
            Reason.GATE_ACCURACY,
            f"Model {manifest.version} does not pass the gate accuracy {gate}: model.json "
            + ("has no metric accuracy" if accuracy is None else f"gives the accuracy {accuracy!r}, not a number")
            + "; measure it and publish a new version.",
        )
    if not gate.passes(float(accuracy)):  # type: ignore[arg-type]
        raise Permanent(
            Reason.GATE_ACCURACY,
            f"Model {manifest.version} does not pass the gate accuracy {gate}: its accuracy is {accuracy}.",
        )
    return {"accuracy": accuracy, "gate": str(gate)}
