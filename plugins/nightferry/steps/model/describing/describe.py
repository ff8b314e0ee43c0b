"""Make a version's folder of a model that has no model.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from nightferry.clients.clock import Clock
from nightferry.clients.doors.model_repository import ModelListing
from nightferry.clients.person import me
from nightferry.entities.model_version import MANIFEST
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.check_signature import shown
from nightferry.steps.model.describing.answers import answers_of
from nightferry.steps.model.describing.examples import Examples, read_examples
from nightferry.steps.model.describing.files import describe_files
from nightferry.steps.model.describing.said import Said
from nightferry.steps.model.describing.signature import Signature, signature_of
from nightferry.steps.model.describing.version_folder import (
    Described,
    author_note,
    link_files,
    listed,
    named,
    stamp,
    write_manifest,
)

MLFLOW = "MLmodel"
"""The file that describes a folder of MLflow: https://mlflow.org/docs/latest/ml/model/"""
ONNX = ".onnx"


def describe(
    path: Path,
    service: str,
    said: Said,
    published: Sequence[ModelListing],
    clock: Clock,
    folder: Path,
    *,
    stock: bool = True,
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
        stock: whether the stock service serves it; False: an app of its own does, and `describe_files` describes it.

    Raises:
        Permanent: (model_not_found, model_not_onnx, model_signature_wrong, model_labels_wrong, model_manifest_invalid,
            model_examples_wrong, model_not_servable)
    """
    if not stock:
        return describe_files(path, service, said, published, clock, folder)
    files, model = _files(path)
    link_files(files, folder, path)
    signature = _signature(folder / model, path)
    labels = said.labels or signature.labels
    examples = Examples()
    if said.examples:
        examples = read_examples(said.examples, signature.inputs, labelled=bool(labels), answer=said.answer)
    files |= examples.files
    link_files(examples.files, folder, said.examples or path)
    document: dict[str, Any] = {
        "format": "onnx",
        "service": service,
        "version": said.version or "described",
        "created": stamp(clock.now()),
        "author": said.author or me("--author"),
        "files": [listed(name, folder / name) for name in sorted(files)],
        "model": model,
        "inputs": [shown(tensor) for tensor in signature.inputs],
        "outputs": [shown(tensor) for tensor in signature.outputs],
        "labels": list(labels) or None,
        "metrics": dict(said.metrics),
        "golden": list(examples.golden),
    }
    document |= {name: value for name, value in (("scores", said.scores), ("image", said.image)) if value is not None}
    write_manifest(folder, document, path)
    document["golden"] = _answered(document, folder)
    document |= named(document, said, published, clock)
    write_manifest(folder, document, path)
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
        raise _not_onnx(
            f"{path} is a model of MLflow without the flavor onnx (it has {known or 'none'})",
            "; or give the service an app of its own (`source` in its service file), which can serve it as it is",
        )
    return PurePosixPath(found).as_posix()


def _not_onnx(fact: str, otherwise: str = "") -> Permanent:
    return Permanent(
        Reason.MODEL_NOT_ONNX,
        f"{fact}; the service serves ONNX: export it (skl2onnx, torch.onnx, tf2onnx), and give that file{otherwise}.",
    )


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


def _notes(document: Mapping[str, Any], signature: Signature, said: Said, examples: Examples) -> list[str]:
    notes: list[str] = []
    beside = sorted({file["name"] for file in document["files"]} - {document["model"], *examples.files})
    if beside:
        more = ", …" if len(beside) > 5 else ""
        notes.append(f"Files that go with the model: {', '.join(beside[:5])}{more}")
    notes += author_note(document, said)
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
