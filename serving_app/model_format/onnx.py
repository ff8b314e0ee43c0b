"""The format onnx: a model that the stock service opens."""

from __future__ import annotations

import re
from typing import Any

from serving_app.model_format.common import common
from serving_app.model_format.image import image_spec
from serving_app.model_format.manifest import DATATYPES, ModelManifest, Tensor, scores_fit
from serving_app.model_format.members import LabelsFault, ManifestFault, Members

MEMBERS = (
    *("format", "service", "version", "created", "author", "commit", "files", "model", "inputs", "outputs", "labels"),
    *("scores", "rows", "image", "metrics", "golden"),
)
FILE = re.compile(r"[A-Za-z0-9][-_.A-Za-z0-9]*(/[A-Za-z0-9][-_.A-Za-z0-9]*)*")
"""Below the version's folder: no part begins with a dot."""


def onnx_manifest(value: object) -> ModelManifest:
    """The manifest of a model in ONNX.

    Raises:
        ManifestFault: a member that is missing, unknown or wrong.
        LabelsFault: the labels are not one for each class.
    """
    document = Members(value, "", MEMBERS)
    document.get("format")  # it has to be there
    inputs, outputs = _tensors(document, "inputs"), _tensors(document, "outputs")
    members = common(document, FILE)
    _check_pictures(members["golden"])
    image = document.get("image", None)
    manifest = ModelManifest(
        **members,
        model=document.text("model"),
        inputs=inputs,
        outputs=outputs,
        labels=_labels(document),
        image=image_spec(image, inputs) if image is not None else None,
        scores=document.one_of("scores", ("probabilities", "logits"), "probabilities"),
        rows=document.one_of("rows", ("independent",)) if document.get("rows", None) is not None else None,
    )
    _check_names(manifest)
    _check_labels(manifest)
    _check_rows(manifest)
    return manifest


def _tensors(document: Members, name: str) -> tuple[Tensor, ...]:
    tensors: dict[str, Tensor] = {}
    for i, entry in enumerate(document.items(name)):
        members = Members(entry, f"{name}[{i}]", ("name", "datatype", "shape"))
        shape = members.items("shape")
        if not all(type(size) is int and (size == -1 or size > 0) for size in shape):
            raise ManifestFault(f"{members.path('shape')} is {shape}; give whole numbers, -1 for any size")
        tensor = Tensor(members.text("name"), members.one_of("datatype", DATATYPES), tuple(shape))
        if tensor.name in tensors:
            raise ManifestFault(f"{name}: {tensor.name} is there twice")
        tensors[tensor.name] = tensor
    if not tensors:
        raise ManifestFault(f"{name} is empty")
    return tuple(tensors.values())


def _labels(document: Members) -> tuple[str, ...]:
    labels = document.items("labels", [])
    if not all(isinstance(label, str) for label in labels):
        raise ManifestFault("labels holds something else than texts")
    return tuple(labels)


def _check_pictures(golden: tuple[dict[str, Any], ...]) -> None:
    for i, example in enumerate(golden):
        if "image" in example and not isinstance(example["image"], str):
            raise ManifestFault(f"golden[{i}].image is not a text")


def _check_names(manifest: ModelManifest) -> None:
    names = {file.name for file in manifest.files}
    if manifest.model not in names:
        raise ManifestFault(f"model is {manifest.model!r}, which is not among files")
    missing = sorted(manifest.golden_files - names)
    if missing:
        raise ManifestFault(f"golden names {missing[0]}, which is not among files")


def _check_labels(manifest: ModelManifest) -> None:
    if manifest.image and not manifest.labels:
        raise ManifestFault("labels are missing; a model for pictures names its classes")
    scores = manifest.scored
    if manifest.labels and not scores_fit(scores.shape, len(manifest.labels)):
        raise LabelsFault(
            f"labels are {len(manifest.labels)}, but output {scores.name} is {list(scores.shape)}; "
            "list an output with a row of scores, one for each label"
        )


def _check_rows(manifest: ModelManifest) -> None:
    if manifest.rows is None:
        return
    for tensor in (*manifest.inputs, *manifest.outputs):
        if tensor.shape[:1] != (-1,):
            raise ManifestFault(
                f"rows is {manifest.rows!r}, but {tensor.name} is {list(tensor.shape)}, which does not begin with -1; "
                "leave rows out"
            )
