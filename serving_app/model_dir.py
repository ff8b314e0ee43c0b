"""A model version's folder: model.json and the files it names (docs/model-format.md)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from serving_app.errors import StartError
from serving_app.members import Members

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
    sha256s: tuple[tuple[str, str], ...] = ()
    """Name and sha256 of each file that has one in model.json."""


MEMBERS = (
    *("format", "service", "version", "created", "author", "commit", "files", "model", "inputs", "outputs", "labels"),
    *("scores", "image", "metrics", "golden"),
)


def read(path: Path) -> ModelDir:
    """Read a model directory.

    Raises:
        StartError: no model.json, not JSON, or a member that is missing or wrong; it names file and member.
    """
    manifest = path / "model.json"
    try:
        data = manifest.read_bytes()
    except OSError as error:
        raise StartError(_no_model(path, error)) from error
    try:
        return _parse(path, data)
    except json.JSONDecodeError as error:
        raise StartError(
            f"{manifest}: not JSON, line {error.lineno}, column {error.colno}: {error.msg[0].lower()}{error.msg[1:]}"
        ) from error
    except UnicodeDecodeError as error:
        raise StartError(f"{manifest}: not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise StartError(f"{manifest}: {error}") from error


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


def _parse(path: Path, data: bytes) -> ModelDir:
    document = Members(json.loads(data.decode()), "", MEMBERS)
    if document.get("format") != "onnx":
        raise ValueError(f"format is {document.get('format')!r}; this service serves onnx")
    inputs, outputs = _tensors(document, "inputs"), _tensors(document, "outputs")
    labels = tuple(document.items("labels", []))
    if not all(isinstance(label, str) for label in labels):
        raise ValueError("labels holds something else than texts")
    image = image_spec(document.get("image"), inputs) if document.get("image", None) is not None else None
    if image and not labels:
        raise ValueError("labels are missing; a model for pictures names its classes")
    classes = outputs[0].shape[-1] if outputs[0].shape else 0
    if labels and classes not in (-1, len(labels)):
        raise ValueError(f"labels are {len(labels)}, but output {outputs[0].name} has {classes} classes")
    return ModelDir(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        service=document.text("service"),
        version=document.text("version"),
        model=_model_file(path, document),
        inputs=inputs,
        outputs=outputs,
        labels=labels,
        image=image,
        scores=document.one_of("scores", ("probabilities", "logits"), "probabilities"),
        sha256s=tuple((file["name"], file["sha256"]) for file in document.get("files") if file.get("sha256")),
    )


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


def _model_file(path: Path, document: Members) -> Path:
    files = [Members(f, f"files[{i}]", ("name", "size", "sha256")) for i, f in enumerate(document.items("files"))]
    sizes = {file.text("name"): file.whole("size", low=0) for file in files}
    model = document.text("model")
    if model not in sizes:
        raise ValueError(f"model is {model!r}, which is not among files")
    for name, size in sizes.items():
        found = (path / name).stat().st_size if (path / name).is_file() else None
        if found is None:
            raise ValueError(f"file {name} is missing")
        if found != size:
            raise ValueError(f"file {name} should have {size} bytes and has {found}")
    return path / model


def _tensors(document: Members, name: str) -> tuple[Tensor, ...]:
    tensors: dict[str, Tensor] = {}
    for i, entry in enumerate(document.items(name)):
        members = Members(entry, f"{name}[{i}]", ("name", "datatype", "shape"))
        shape = members.items("shape")
        if not all(type(size) is int and (size == -1 or size > 0) for size in shape):
            raise ValueError(f"{members.path('shape')} is {shape}; give whole numbers, -1 for any size")
        tensor = Tensor(members.text("name"), members.one_of("datatype", DATATYPES), tuple(shape))
        if tensor.name in tensors:
            raise ValueError(f"{name}: {tensor.name} is there twice")
        tensors[tensor.name] = tensor
    if not tensors:
        raise ValueError(f"{name} is empty")
    return tuple(tensors.values())


def image_spec(value: object, inputs: tuple[Tensor, ...]) -> ImageSpec:
    """Return the member `image`.

    Raises:
        ValueError: something in it is wrong, or it makes another tensor than the model's input.
    """
    members = Members(value, "image", [field.name for field in dataclasses.fields(ImageSpec)])
    image = ImageSpec(
        input=members.text("input"),
        width=members.whole("width", low=1),
        height=members.whole("height", low=1),
        mode=members.one_of("mode", ("L", "RGB"), "RGB"),
        layout=members.one_of("layout", ("flat", "nchw", "nhwc"), "nchw"),
        mean=members.numbers("mean", (0.0,)),
        std=members.numbers("std", (1.0,)),
        scale=members.number("scale", 1.0),
        invert=members.flag("invert", False),
        resample=members.one_of("resample", ("nearest", "box", "bilinear", "bicubic", "lanczos"), "bilinear"),
        top_k=members.whole("top_k", 3, low=1),
    )
    for name in ("mean", "std"):
        if len(getattr(image, name)) not in (1, image.channels):
            raise ValueError(f"image.{name} wants 1 or {image.channels} numbers")
    if 0 in image.std:
        raise ValueError("image.std holds 0, which nothing can be divided by")
    tensor = next((t for t in inputs if t.name == image.input), None)
    if tensor is None:
        raise ValueError(f"image.input is {image.input!r}, which is not among inputs")
    if len(inputs) > 1:
        raise ValueError("a model for pictures has one input")
    fits = len(tensor.shape) == len(image.shape) + 1 and all(
        have in (-1, want) for have, want in zip(tensor.shape[1:], image.shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"image makes tensors of shape {list(image.shape)}, input {tensor.name} is {list(tensor.shape)}"
        )
    return image
