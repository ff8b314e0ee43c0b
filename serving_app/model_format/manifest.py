"""What model.json declares, as values. docs/model-format.md explains the file."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MANIFEST = "model.json"
ONNX, FILES = "onnx", "files"
"""The formats: a model that the stock service opens; one that only an app of its own opens."""
WHOLE = "."
"""As `model` of the format files: everything in the version's folder."""
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
FLOATS = ("FP16", "FP32", "FP64")


@dataclass(frozen=True)
class ModelFile:
    """One file of a model version."""

    name: str
    """Path below the version's folder."""
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True)
class Tensor:
    """One input or output: name, datatype (Open Inference Protocol) and shape, where -1 is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def scores_fit(shape: Sequence[int], labels: int) -> bool:
    """Whether an output of this shape may have a score for each label in a row: [n, 10], [n, 10, 1, 1], or, of two
    labels, how sure the model is of the second: [n, 1] or [n]."""
    if not shape:
        return False
    scores = math.prod(shape[1:])
    return -1 in shape[1:] or scores == labels or (scores == 1 and labels == 2)


def scored(outputs: Sequence[Tensor], labels: int) -> Tensor:
    """Return the output that holds the scores: the first of floating-point numbers that fits the labels. Classifiers
    give their own label first, as skl2onnx exports them; the first of all if none fits."""
    fit = (tensor for tensor in outputs if tensor.datatype in FLOATS and scores_fit(tensor.shape, labels))
    return next(fit, outputs[0])


@dataclass(frozen=True)
class ImageSpec:
    """How a picture becomes the tensor `input`: `((pixel / 255 * scale) - mean) / std`, per channel."""

    input: str
    width: int
    height: int
    mode: str = "RGB"
    """"L" (grey), or the order of the colours: "RGB" or "BGR"."""
    layout: str = "nchw"
    """"flat", "nchw" or "nhwc"."""
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    invert: bool = False
    """Dark on light becomes light on dark before anything else."""
    resample: str = "bilinear"
    """"nearest", "box", "bilinear", "bicubic" or "lanczos"."""
    fit: str = "stretch"
    """"stretch", "cover" (the middle is cut out) or "contain" (the rest is `padding`): these two keep proportions."""
    resize: int = 0
    """Of "cover": pixels that the shorter side is resized to before the middle is cut out; 0: as few as will do."""
    padding: tuple[int, ...] = (0,)
    """Of "contain": the colour around the picture, one number from 0 to 255, or red, green and blue."""
    datatype: str = "FP32"
    """The input's, taken from `inputs`: FP32, FP16 or UINT8."""
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
class ModelManifest:
    """model.json. Its own sha256 identifies the version, since it holds that of every file."""

    service: str
    version: str
    created: dt.datetime
    """With its zone."""
    author: str
    commit: str | None
    """The training code's commit, when known."""
    files: tuple[ModelFile, ...]
    model: str
    """The file that holds the model; of the format files, the file or folder, or WHOLE."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    labels: tuple[str, ...] = ()
    image: ImageSpec | None = None
    scores: str = "probabilities"
    """What the scores are: "probabilities", or "logits" when the service has to apply the softmax."""
    rows: str | None = None
    """"independent": no row of a request has any part in another row's answer. None: nobody knows."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    golden: tuple[Mapping[str, Any], ...] = ()
    """Requests with known answers."""
    format: str = ONNX
    """ONNX or FILES."""

    @property
    def scored(self) -> Tensor:
        """The output that holds the scores."""
        return scored(self.outputs, len(self.labels))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def golden_files(self) -> frozenset[str]:
        """The files that golden examples name; those of the format files name none."""
        if self.format == FILES:
            return frozenset()
        return frozenset(str(example["image"]) for example in self.golden if "image" in example)
