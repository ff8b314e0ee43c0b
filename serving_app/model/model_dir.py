"""A model version's folder: model.json and the files it names (docs/model-format.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_app.errors import StartError
from serving_app.model_format import (
    DATATYPES,
    FILES,
    MANIFEST,
    ImageSpec,
    ManifestFault,
    ModelManifest,
    Tensor,
    parse_manifest,
    scores_fit,
)

__all__ = ["DATATYPES", "ImageSpec", "ModelDir", "Tensor", "read", "scores_fit", "verify"]


@dataclass(frozen=True)
class ModelDir:
    """What model.json says, as far as serving needs it."""

    path: Path
    sha256: str
    """sha256 of model.json's bytes: the identity of the model version."""
    service: str
    version: str
    model: Path
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    scored: Tensor
    """The output that holds the scores, if there are labels."""
    labels: tuple[str, ...] = ()
    image: ImageSpec | None = None
    scores: str = "probabilities"
    """"probabilities", or "logits" when the service has to apply the softmax."""
    independent: bool = False
    """Whether model.json says that no row has a part in another row's answer."""
    golden: tuple[Mapping[str, Any], ...] = ()
    """Requests with known answers."""
    sha256s: tuple[tuple[str, str], ...] = ()
    """Name and sha256 of each file."""


def read(path: Path) -> ModelDir:
    """Read a model directory.

    Raises:
        StartError: no model.json, one that is not as it should be, or a file that is missing or has another size; it
            names file and member.
    """
    place = path / MANIFEST
    try:
        content = place.read_bytes()
    except OSError as error:
        raise StartError(_no_model(path, error)) from error
    try:
        manifest = parse_manifest(content)
        if manifest.format == FILES:
            raise ManifestFault(
                f"the model is of the format {FILES}, which only an app of its own opens; this service serves onnx: "
                "export it to ONNX, or start its own app"
            )
        _check_files(path, manifest)
    except ManifestFault as fault:
        raise StartError(f"{place}: {fault}") from fault
    return ModelDir(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        service=manifest.service,
        version=manifest.version,
        model=path / manifest.model,
        inputs=manifest.inputs,
        outputs=manifest.outputs,
        scored=manifest.scored,
        labels=manifest.labels,
        image=manifest.image,
        scores=manifest.scores,
        golden=manifest.golden,
        independent=manifest.rows == "independent",
        sha256s=tuple((file.name, file.sha256) for file in manifest.files),
    )


def _no_model(path: Path, error: OSError) -> str:
    if not path.exists():
        return f"no model in {path}: no such folder; give one that has a model.json with --model-dir"
    if not path.is_dir():
        return f"no model in {path}: it is a file; give the folder that has a model.json with --model-dir"
    inside = sorted(found.parent.name for found in path.glob("*/model.json"))
    if inside:
        return f"no model in {path}: no model.json there, but in its folders {', '.join(inside[:5])}; give one of them"
    if isinstance(error, FileNotFoundError):
        return f"no model in {path}: no model.json there; docs/model-format.md says what it holds"
    return f"no model in {path}: model.json cannot be read ({error.strerror})"


def verify(model: ModelDir) -> None:
    """Compare every file with its sha256; reads all of them once.

    Raises:
        StartError: one holds something else; it names the file.
    """
    for name, wanted in model.sha256s:
        with (model.path / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted:
            raise StartError(
                f"{model.path / name} is not the file that model.json describes: its sha256 is {found}, not {wanted}; "
                "fetch or write the model again"
            )


def _check_files(path: Path, manifest: ModelManifest) -> None:
    for file in manifest.files:
        place = path / file.name
        if not place.is_file():
            raise ManifestFault(f"file {file.name} is missing")
        found = place.stat().st_size
        if found != file.size:
            raise ManifestFault(f"file {file.name} should have {file.size} bytes and has {found}")
