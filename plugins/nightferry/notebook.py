"""Publishing from a notebook: `nightferry.publish`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from nightferry.steps.model.describing.estimator_file import keep_estimator
from nightferry.steps.model.describing.exchange_lines import as_lines
from nightferry.steps.model.describing.publish import publish_described
from nightferry.steps.model.describing.said import Said, checked_labels, checked_metrics
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
    stock = spec.is_stock
    said = Said(
        metrics=checked_metrics(metrics or {}),
        labels=checked_labels(labels),
        scores=scores,
        version=version,
        author=author,
    )
    with tempfile.TemporaryDirectory(prefix="nightferry-model-") as scratch:
        path, said = (_file if stock else _for_an_app)(model, examples, said, Path(scratch))
        if (path / MANIFEST).is_file():
            if examples is not None or said != Said():
                raise Permanent(
                    Reason.MODEL_MANIFEST_INVALID,
                    f"{path / MANIFEST} describes the model; examples, metrics, labels and names are not for it.",
                )
            return upload(settings, spec, path).version
        described, published = publish_described(
            path,
            spec.service,
            said,
            connect.models(settings, spec.model),
            SystemClock(),
            lambda folder: upload(settings, spec, folder),
            stock=stock,
        )
    for note in (*described.notes, *published.notes):
        print(f"Note: {note}")
    return published.version


def _file(model: Any, examples: Any, said: Said, folder: Path) -> tuple[Path, Said]:
    """The model's file or folder, and what is said of it with its examples."""
    if is_sklearn(model) and not isinstance(model, str | Path):
        return _estimator(model, examples, said, folder)
    if not isinstance(examples, str | Path | None):
        raise Permanent(
            Reason.MODEL_EXAMPLES_WRONG,
            "Examples of a model in ONNX are a path: a CSV file, JSON lines, or a folder of pictures.",
        )
    said = replace(said, examples=Path(examples) if examples is not None else None)
    path = _path(model, folder)
    if path is None:
        raise Permanent(
            Reason.MODEL_NOT_ONNX,
            f"{type(model).__name__} is neither a path, nor an ONNX model, nor an estimator of scikit-learn; export it "
            "to ONNX, and give that.",
        )
    return path, said


def _path(model: Any, folder: Path) -> Path | None:
    """Where a model is that is a path or in ONNX; None: it is neither."""
    if isinstance(model, str | Path):
        return Path(model)
    if not hasattr(model, "SerializeToString"):
        return None
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _for_an_app(model: Any, examples: Any, said: Said, folder: Path) -> tuple[Path, Said]:
    """The file or folder that an app of its own opens, and what is said of it with its examples."""
    if examples is not None and not isinstance(examples, str | Path):
        lines = folder / "examples.jsonl"
        lines.write_text(as_lines(examples), encoding="utf-8")
        examples = lines
    said = replace(said, examples=Path(examples) if examples is not None else None)
    path = _path(model, folder)
    if path is None and is_sklearn(model):
        path = keep_estimator(model, folder)
    if path is None:
        raise Permanent(
            Reason.MODEL_NOT_FOUND,
            f"{type(model).__name__} is neither a path, nor an ONNX model, nor an estimator of scikit-learn; write it "
            "to a file as its library does, and give that file's path.",
        )
    return path, said


def _estimator(model: Any, examples: Any, said: Said, folder: Path) -> tuple[Path, Said]:
    rows = examples[0] if isinstance(examples, tuple) and examples else examples
    if rows is None or isinstance(rows, tuple | str | Path):
        raise Permanent(
            Reason.MODEL_EXAMPLES_WRONG,
            f"{type(model).__name__} is converted, and compared with the original on examples; give them: "
            "examples=(rows, answers).",
        )
    converted = convert(model, rows, folder)
    lines = folder / "examples.jsonl"
    lines.write_text("".join(f"{json.dumps(one)}\n" for one in converted.golden), encoding="utf-8")
    return converted.path, replace(said, labels=said.labels or converted.labels, examples=lines)
