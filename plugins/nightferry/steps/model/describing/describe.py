"""Make a version's folder of a model that has no model.json."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from nightferry.clients.clock import Clock
from nightferry.clients.model_repository import ModelListing
from nightferry.clients.person import me
from nightferry.entities.model_version import MANIFEST, ManifestFault, parse_manifest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.check_model import is_number
from nightferry.steps.model.check_signature import shown
from nightferry.steps.model.describing.answers import answers_of
from nightferry.steps.model.describing.examples import Examples, read_examples
from nightferry.steps.model.describing.signature import Signature, signature_of
from nightferry.steps.model.model_folder import file_sha256, manifest_reason

MLFLOW = "MLmodel"
"""The file that describes a folder of MLflow: https://mlflow.org/docs/latest/ml/model/"""
ONNX = ".onnx"


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


@dataclass(frozen=True)
class Described:
    """A version's folder, ready to be published."""

    folder: Path
    document: dict[str, Any]
    """Its model.json."""
    notes: tuple[str, ...]
    """Sentences about what was taken for granted."""


def describe(
    path: Path, service: str, said: Said, published: Sequence[ModelListing], clock: Clock, folder: Path
) -> Described:
    """Write the folder of a version: links to the model's files, copies where that cannot be, and model.json.

    The version is named by the day and by what is in it, so that the same model, said to be the same, is the version
    that was published before, on whatever day.

    Args:
        path: an ONNX file; or a folder that has one, or that MLflow wrote.
        service: the service that the model is for.
        said: what its author says.
        published: the versions that there are.
        clock: the day.
        folder: an empty folder to write into.

    Raises:
        Permanent: (model_not_found, model_not_onnx, model_signature_wrong, model_labels_wrong, model_manifest_invalid,
            model_examples_wrong, model_not_servable)
    """
    files, model = _files(path)
    _link(files, folder, path)
    signature = _signature(folder / model, path)
    labels = said.labels or signature.labels
    examples = Examples()
    if said.examples:
        examples = read_examples(said.examples, signature.inputs, labelled=bool(labels), answer=said.answer)
    files |= examples.files
    _link(examples.files, folder, said.examples or path)
    document: dict[str, Any] = {
        "format": "onnx",
        "service": service,
        "version": said.version or "described",
        "created": _stamp(clock.now()),
        "author": said.author or me("--author"),
        "files": [_file(name, folder / name) for name in sorted(files)],
        "model": model,
        "inputs": [shown(tensor) for tensor in signature.inputs],
        "outputs": [shown(tensor) for tensor in signature.outputs],
        "labels": list(labels) or None,
        "metrics": dict(said.metrics),
        "golden": list(examples.golden),
    }
    document |= {name: value for name, value in (("scores", said.scores), ("image", said.image)) if value is not None}
    _write(folder, document, path)
    document["golden"] = _answered(document, folder)
    document |= _name(document, said, published, clock)
    _write(folder, document, path)
    return Described(folder, document, tuple(_notes(document, signature, said, examples)))


def _files(path: Path) -> tuple[dict[str, Path], str]:
    """Name in the version's folder -> file, and the name of the one that holds the model."""
    if path.is_file():
        if path.suffix.lower() != ONNX:
            raise _not_onnx(f"{path} is no ONNX file")
        return {"model.onnx": path}, "model.onnx"
    if not path.is_dir():
        raise Permanent(Reason.MODEL_NOT_FOUND, f"{path} does not exist; give a model's file or folder.")
    files = {
        file.relative_to(path).as_posix(): file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    }
    outside = next((name for name, file in files.items() if not file.resolve().is_relative_to(path.resolve())), None)
    if outside:
        raise Permanent(
            Reason.MODEL_MANIFEST_INVALID,
            f"{path / outside} leads to a file outside the folder; put that file itself there.",
        )
    described = _mlflow(path)
    if described is not None:
        if described not in files:
            raise _not_onnx(f"{path / MLFLOW} names {described}, which is not a file of the folder")
        return files, described
    models = [name for name in files if name.lower().endswith(ONNX)]
    if len(models) != 1:
        there = f"{len(models)} ONNX files ({', '.join(models[:3])})" if models else "no ONNX file"
        raise _not_onnx(f"{path} has {there} and no {MANIFEST}, which would say which is the model")
    return files, models[0]


def _mlflow(path: Path) -> str | None:
    """The ONNX file of a folder that MLflow wrote; None: it did not write this one."""
    if not (path / MLFLOW).is_file():
        return None
    try:
        flavors = yaml.safe_load((path / MLFLOW).read_text(encoding="utf-8"))["flavors"]
        found = flavors.get("onnx", {}).get("data")
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise _not_onnx(f"{path / MLFLOW} is not as MLflow writes it") from fault
    if not isinstance(found, str):
        known = ", ".join(sorted(str(name) for name in flavors if name != "python_function"))
        raise _not_onnx(f"{path} is a model of MLflow without the flavor onnx (it has {known or 'none'})")
    return PurePosixPath(found).as_posix()


def _not_onnx(fact: str) -> Permanent:
    return Permanent(
        Reason.MODEL_NOT_ONNX,
        f"{fact}; the service serves ONNX: export it (skl2onnx, torch.onnx, tf2onnx), and give that file.",
    )


def _link(files: Mapping[str, Path], folder: Path, path: Path) -> None:
    for name, source in files.items():
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                target.hardlink_to(source.resolve())
            except OSError:
                shutil.copyfile(source, target)
        except OSError as fault:
            raise Permanent(
                Reason.MODEL_INCOMPLETE, f"{source} of {path} cannot be read: {fault.strerror or fault}."
            ) from fault


def _signature(model: Path, path: Path) -> Signature:
    try:
        return signature_of(model, str(path))
    except Permanent as fault:
        if path.is_file() and "xternal" in fault.sentence:
            raise Permanent(
                fault.reason,
                f"{path} keeps its weights in files beside it; give the folder that holds them all, and nothing else.",
            ) from fault
        raise


def _file(name: str, path: Path) -> dict[str, Any]:
    return {"name": name, "size": path.stat().st_size, "sha256": file_sha256(path)}


def _write(folder: Path, document: Mapping[str, Any], path: Path) -> None:
    content = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    try:
        parse_manifest(content)
    except ManifestFault as fault:
        raise Permanent(manifest_reason(fault), f"{path} cannot be published so: {fault}.") from fault
    (folder / MANIFEST).write_bytes(content)


def _answered(document: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The golden examples, those without an answer with the service's own."""
    golden: list[dict[str, Any]] = document["golden"]
    if all(example.keys() & {"label", "outputs"} for example in golden):
        return golden
    answers = answers_of(folder, document["version"])
    return [
        example if example.keys() & {"label", "outputs"} else {**example, "outputs": answer}
        for example, answer in zip(golden, answers, strict=True)
    ]


def _name(document: Mapping[str, Any], said: Said, published: Sequence[ModelListing], clock: Clock) -> dict[str, str]:
    """Version, time and author: those of the version that has the same content, if there is one."""
    content = {name: value for name, value in document.items() if name not in ("version", "created", "author")}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    for one in published:
        if one.version == said.version or (not said.version and one.version.endswith(f"-{digest}")):
            return {
                "version": one.version,
                "created": _stamp(dt.datetime.fromisoformat(one.created)),
                "author": one.author,
            }
    return {"version": said.version or f"{clock.now():%Y-%m-%d}-{digest}"}


def _stamp(time: dt.datetime) -> str:
    """A time as it is written, whoever read it in between: the same version has the same bytes."""
    return time.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _notes(document: Mapping[str, Any], signature: Signature, said: Said, examples: Examples) -> list[str]:
    notes = []
    beside = sorted({file["name"] for file in document["files"]} - {document["model"], *examples.files})
    if beside:
        more = ", …" if len(beside) > 5 else ""
        notes.append(f"Files that go with the model: {', '.join(beside[:5])}{more}")
    if said.author and said.author != document["author"]:
        notes.append(f"{document['author']} published this version before, and stays its author.")
    if examples.unused:
        notes.append(
            f"The column {examples.unused} is not compared with anything, since the model names no labels; if it has "
            "some, say them with --labels."
        )
    if not said.labels and signature.labels:
        more = ", …" if len(signature.labels) > 10 else ""
        notes.append(f"The model names its labels: {', '.join(signature.labels[:10])}{more}")
    if not document["golden"]:
        notes.append("No examples: nothing is compared when a release is tested. Give some with --examples.")
    computed = sum("outputs" in example for example in document["golden"])
    if computed:
        notes.append(
            f"{computed} examples are without an answer; what the model answers now is what a release has to answer."
        )
    return notes
