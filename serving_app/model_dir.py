"""A model version's folder: model.json and the files it names (docs/model-format.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_app.errors import StartError

DATATYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
"""Open Inference Protocol datatype -> numpy dtype."""


@dataclass(frozen=True)
class Tensor:
    """One input or output: name, datatype (Open Inference Protocol) and shape, where -1 is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ImageSpec:
    """How a picture becomes the tensor `input`: `((pixel / 255 * scale) - mean) / std`, per channel."""

    input: str
    width: int
    height: int
    mode: str = "RGB"
    """"L" (grey) or "RGB"."""
    layout: str = "nchw"
    """"flat", "nchw" or "nhwc"."""
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    invert: bool = False
    """Dark on light becomes light on dark before anything else."""
    resample: str = "bilinear"
    """"nearest", "box", "bilinear", "bicubic" or "lanczos"."""
    top_k: int = 3

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return 1 if self.mode == "L" else 3

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape of one picture."""
        return {
            "flat": (self.width * self.height * self.channels,),
            "nchw": (self.channels, self.height, self.width),
            "nhwc": (self.height, self.width, self.channels),
        }[self.layout]


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
    labels: tuple[str, ...] = ()
    image: ImageSpec | None = None
    scores: str = "probabilities"
    """"probabilities", or "logits" when the service has to apply the softmax."""


def read(path: Path) -> ModelDir:
    """Read a model directory.

    Raises:
        StartError: no model.json, not JSON, or a member that is missing or wrong; it names file and member.
    """
    manifest = path / "model.json"
    try:
        data = manifest.read_bytes()
    except OSError as error:
        raise StartError(
            f"no model in {path}: {manifest} cannot be read ({error.strerror}); give a folder with --model-dir"
        ) from error
    try:
        return _parse(path, data)
    except KeyError as error:
        raise StartError(f"{manifest}: {error.args[0]} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise StartError(f"{manifest}: {error}") from error


def _parse(path: Path, data: bytes) -> ModelDir:
    document = json.loads(data)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    if document["format"] != "onnx":
        raise ValueError(f"format is {document['format']!r}; this service serves onnx")
    inputs, outputs = _tensors(document, "inputs"), _tensors(document, "outputs")
    labels = tuple(str(label) for label in document.get("labels") or ())
    image = _image(document["image"], inputs) if document.get("image") else None
    if image and not labels:
        raise ValueError("labels are missing; a model for pictures names its classes")
    if labels and outputs[0].shape[-1] not in (-1, len(labels)):
        raise ValueError(f"labels are {len(labels)}, but output {outputs[0].name} has {outputs[0].shape[-1]} classes")
    scores = document.get("scores", "probabilities")
    if scores not in ("probabilities", "logits"):
        raise ValueError(f"scores is {scores!r}; give probabilities or logits")
    return ModelDir(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        service=str(document["service"]),
        version=str(document["version"]),
        model=_model_file(path, document),
        inputs=inputs,
        outputs=outputs,
        labels=labels,
        image=image,
        scores=scores,
    )


def _model_file(path: Path, document: Mapping[str, Any]) -> Path:
    sizes = {entry["name"]: entry["size"] for entry in document["files"]}
    if document["model"] not in sizes:
        raise ValueError(f"model is {document['model']!r}, which is not among files")
    for name, size in sizes.items():
        found = (path / name).stat().st_size if (path / name).is_file() else None
        if found != size:
            raise ValueError(f"file {name} should have {size} bytes and {'is missing' if found is None else found}")
    return path / str(document["model"])


def _tensors(document: Mapping[str, Any], member: str) -> tuple[Tensor, ...]:
    tensors = tuple(Tensor(str(t["name"]), t["datatype"], tuple(int(d) for d in t["shape"])) for t in document[member])
    if not tensors:
        raise ValueError(f"{member} is empty")
    for tensor in tensors:
        if tensor.datatype not in DATATYPES:
            raise ValueError(f"{member}: {tensor.name} has datatype {tensor.datatype!r}; one of {', '.join(DATATYPES)}")
    return tensors


def _image(value: Mapping[str, Any], inputs: tuple[Tensor, ...]) -> ImageSpec:
    numbers = {name: tuple(float(n) for n in value[name]) for name in ("mean", "std") if name in value}
    image = ImageSpec(**{**value, **numbers})
    for name, allowed in (
        ("mode", ("L", "RGB")),
        ("layout", ("flat", "nchw", "nhwc")),
        ("resample", ("nearest", "box", "bilinear", "bicubic", "lanczos")),
    ):
        if getattr(image, name) not in allowed:
            raise ValueError(f"image.{name} is {getattr(image, name)!r}; one of {', '.join(allowed)}")
    for name in ("mean", "std"):
        if len(getattr(image, name)) not in (1, image.channels):
            raise ValueError(f"image.{name} wants 1 or {image.channels} numbers")
    tensor = next((t for t in inputs if t.name == image.input), None)
    if tensor is None:
        raise ValueError(f"image.input is {image.input!r}, which is not among inputs")
    if len(inputs) > 1:
        raise ValueError("a model for pictures has one input")
    fits = len(tensor.shape) == len(image.shape) + 1 and all(
        have in (-1, want) for have, want in zip(tensor.shape[1:], image.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"image makes tensors of shape {list(image.shape)}, input {tensor.name} is {tensor.shape}")
    return image
