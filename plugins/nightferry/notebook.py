"""Publishing from a notebook: `nightferry.publish`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nightferry import settings as settings_of
from nightferry.cli.lookup import spec_of
from nightferry.cli.models import upload
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.entities.model_version import MANIFEST
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.describing.describe import Said, describe
from nightferry.steps.model.describing.sklearn_model import convert, is_sklearn


def publish(
    service: str,
    model: Any,
    *,
    examples: Any = None,
    metrics: Mapping[str, float] | None = None,
    labels: Sequence[str] = (),
    scores: str | None = None,
    version: str | None = None,
    author: str | None = None,
) -> str:
    """Publish a model as a new version of a service's; its version is the result. See `nightferry.publish`."""
    settings = settings_of.load()
    spec = spec_of(settings, service)
    with tempfile.TemporaryDirectory(prefix="nightferry-model-") as scratch:
        folder = Path(scratch)
        path, asked = _file(model, examples, folder)
        if (path / MANIFEST).is_file():
            return upload(settings, spec, path).version
        said = Said(
            metrics=dict(metrics or {}),
            labels=tuple(labels) or asked.labels,
            scores=scores,
            examples=asked.examples,
            version=version,
            author=author,
        )
        place = folder / spec.service
        place.mkdir()
        listings = connect.models(settings, spec.model).listings()
        described = describe(path, spec.service, said, listings, SystemClock(), place)
        published = upload(settings, spec, described.folder)
    for note in (*described.notes, *published.notes):
        print(f"Note: {note}")
    return published.version


def _file(model: Any, examples: Any, folder: Path) -> tuple[Path, Said]:
    """The model's file or folder, and what its examples say."""
    if isinstance(model, str | Path):
        return Path(model), Said(examples=Path(examples) if isinstance(examples, str | Path) else None)
    if hasattr(model, "SerializeToString"):
        path = folder / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return path, Said(examples=Path(examples) if isinstance(examples, str | Path) else None)
    if not is_sklearn(model):
        raise Permanent(
            Reason.MODEL_NOT_ONNX,
            f"{type(model).__name__} is neither a path, nor an ONNX model, nor an estimator of scikit-learn; export it "
            "to ONNX, and give that.",
        )
    rows = examples[0] if isinstance(examples, tuple) else examples
    if rows is None:
        raise Permanent(
            Reason.MODEL_EXAMPLES_WRONG,
            f"{type(model).__name__} is converted, and compared with the original on examples; give them: "
            "examples=(rows, answers).",
        )
    converted = convert(model, rows, folder)
    lines = folder / "examples.jsonl"
    lines.write_text("".join(f"{json.dumps(one)}\n" for one in converted.golden), encoding="utf-8")
    return converted.path, Said(labels=converted.labels, examples=lines)
