"""Read model.json, and say plainly what is wrong with it."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

from serving_app.model_format.image import image_spec
from serving_app.model_format.manifest import DATATYPES, MANIFEST, ModelFile, ModelManifest, Tensor, scores_fit
from serving_app.model_format.members import LabelsFault, ManifestFault, Members

MEMBERS = (
    *("format", "service", "version", "created", "author", "commit", "files", "model", "inputs", "outputs", "labels"),
    *("scores", "rows", "image", "metrics", "golden"),
)
SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9][-_.A-Za-z0-9]*")
FILE = re.compile(r"[A-Za-z0-9][-_.A-Za-z0-9]*(/[A-Za-z0-9][-_.A-Za-z0-9]*)*")
"""Below the version's folder: no part begins with a dot."""
SHA256 = re.compile(r"[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[-+]\d\d:?\d\d)")
"""RFC 3339, and what is nearly that."""


def parse_manifest(content: bytes) -> ModelManifest:
    """The manifest in a model.json.

    Raises:
        ManifestFault: not JSON, or a member that is missing, unknown or wrong.
        LabelsFault: the labels are not one for each class.
    """
    try:
        value = json.loads(content.decode())
    except json.JSONDecodeError as error:
        message = f"{error.msg[0].lower()}{error.msg[1:]}"
        raise ManifestFault(f"not JSON, line {error.lineno}, column {error.colno}: {message}") from error
    except UnicodeDecodeError as error:
        raise ManifestFault("not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise ManifestFault(f"not JSON that can be read: {error}") from error
    return _manifest(Members(value, "", MEMBERS))


def _manifest(document: Members) -> ModelManifest:
    if document.get("format") != "onnx":
        raise ManifestFault(f"format is {document.get('format')!r}; this service serves onnx")
    inputs, outputs = _tensors(document, "inputs"), _tensors(document, "outputs")
    files = _files(document)
    image = document.get("image", None)
    manifest = ModelManifest(
        service=document.text("service", SERVICE, 'lower-case letters, digits and "-"', 40),
        version=document.text("version", VERSION, 'a text of letters, digits, "-", "_" and "."', 80),
        created=_created(document),
        author=_author(document),
        commit=document.text("commit") if document.get("commit", None) is not None else None,
        files=files,
        model=document.text("model"),
        inputs=inputs,
        outputs=outputs,
        labels=_labels(document),
        image=image_spec(image, inputs) if image is not None else None,
        scores=document.one_of("scores", ("probabilities", "logits"), "probabilities"),
        rows=document.one_of("rows", ("independent",)) if document.get("rows", None) is not None else None,
        metrics=document.mapping("metrics"),
        golden=_golden(document),
    )
    _check_names(manifest)
    _check_labels(manifest)
    _check_rows(manifest)
    return manifest


def _created(document: Members) -> dt.datetime:
    wanted = "a time with its zone, as 2026-11-21T13:00:00Z"
    text = document.text("created", TIME, wanted)
    try:
        return dt.datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise ManifestFault(f"created is {text!r}; give {wanted}") from error


def _author(document: Members) -> str:
    author = document.get("author")
    if not isinstance(author, str):
        raise ManifestFault("author is not a text")
    return author


def _files(document: Members) -> tuple[ModelFile, ...]:
    files: dict[str, ModelFile] = {}
    for i, entry in enumerate(document.items("files")):
        members = Members(entry, f"files[{i}]", ("name", "size", "sha256"))
        file = ModelFile(
            members.text("name", FILE, 'a path in the folder, of letters, digits, "-", "_", "." and "/"'),
            members.whole("size", low=0),
            members.text("sha256", SHA256, "64 hexadecimal digits"),
        )
        if file.name in files:
            raise ManifestFault(f"files: {file.name} is there twice")
        if file.name == MANIFEST:
            raise ManifestFault(f"files: {MANIFEST} lists the other files, not itself")
        files[file.name] = file
    if not files:
        raise ManifestFault("files is empty")
    return tuple(files.values())


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


def _golden(document: Members) -> tuple[dict[str, Any], ...]:
    golden = document.items("golden", [])
    for i, example in enumerate(golden):
        if not isinstance(example, dict):
            raise ManifestFault(f"golden[{i}] is not an object")
        if "image" in example and not isinstance(example["image"], str):
            raise ManifestFault(f"golden[{i}].image is not a text")
    return tuple(golden)


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
