"""Check a fetched model before anything is built with it."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from nightferry.entities.model_version import FILES, ModelManifest
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Gate, ServiceSpec
from nightferry.errors import Permanent
from nightferry.steps.deciding.refuse_files import refuse_files
from nightferry.steps.model.check_signature import check_signature
from nightferry.steps.model.golden_exchanges import golden_exchanges
from nightferry.steps.model.model_folder import read_manifest


@dataclass(frozen=True)
class CheckedModel:
    """A model that may be released."""

    facts: dict[str, Any]
    """What was found, as plain JSON types: for the record."""


def check_model(folder: Path, spec: ServiceSpec) -> CheckedModel:
    """Open the model as the service will, hold it against its manifest, and apply the gates of its metrics. A model of
    the format files is opened by nobody but its app: its examples are read, and the gates applied.

    Args:
        folder: the version's folder, its files already verified.
        spec: the service, with its gates.

    Raises:
        Permanent: (model_manifest_invalid, model_not_onnx, model_signature_wrong, model_labels_wrong,
            model_examples_wrong, gate_failed)
    """
    manifest, _ = read_manifest(folder)
    facts = {"version": manifest.version, "author": manifest.author, "size": manifest.size}
    return CheckedModel(facts | _opened(folder, manifest, spec) | _check_gates(manifest, spec))


def _opened(folder: Path, manifest: ModelManifest, spec: ServiceSpec) -> dict[str, Any]:
    if manifest.format == FILES:
        refuse_files(manifest, spec.service, stock=spec.is_stock)
        golden_exchanges(manifest)
        return {"format": FILES}
    return {"labels": len(manifest.labels), **check_signature(folder, manifest)}


def _check_gates(manifest: ModelManifest, spec: ServiceSpec) -> dict[str, Any]:
    """Return what the gates ask for, and the accuracy, which people look for first, also where no gate does."""
    for name, gate in spec.metric_gates.items():
        measured = manifest.metrics.get(name)
        if not is_number(measured):
            raise _failed(manifest, name, gate, f"{_missing(manifest, name)}; measure it and publish a new version")
        if not gate.passes(float(measured)):
            raise _failed(manifest, name, gate, f"its {name} is {measured}")
    shown = {"accuracy", *spec.metric_gates}
    metrics = {name: value for name, value in manifest.metrics.items() if name in shown and is_number(value)}
    return {"metrics": metrics, "gates": {name: str(gate) for name, gate in spec.metric_gates.items()}}


def _failed(manifest: ModelManifest, name: str, gate: Gate, why: str) -> Permanent:
    return Permanent(Reason.GATE_FAILED, f"Model {manifest.version} does not pass the gate {name} {gate}: {why}.")


def _missing(manifest: ModelManifest, name: str) -> str:
    measured = manifest.metrics.get(name)
    if measured is not None:
        return f"model.json gives the {name} {measured!r}, not a number"
    known = [each for each in manifest.metrics if is_number(manifest.metrics[each])]
    near = difflib.get_close_matches(name, known, 1)
    hint = f" (it has {near[0]})" if near else f" (it has {', '.join(sorted(known))})" if known else ""
    return f"model.json has no metric {name}{hint}"


def is_number(value: object) -> TypeGuard[float]:
    """Whether a metric is a number that can be compared."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False
