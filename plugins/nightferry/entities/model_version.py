"""A model version: what its author declares in model.json. docs/model-format.md explains the file."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints, field_validator, model_validator

from nightferry.entities.frozen import Frozen, Recorded

VersionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][-_.A-Za-z0-9]*$", max_length=80)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
MANIFEST = "model.json"


class ModelFile(Frozen):
    """One file of a model version."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][-_.A-Za-z0-9]*(/[A-Za-z0-9][-_.A-Za-z0-9]*)*$")]
    """Path below the version's folder."""
    size: int = Field(ge=0)
    """Bytes."""
    sha256: Sha256


class Tensor(Frozen):
    """A named, typed tensor of the model's signature, in the Open Inference Protocol's words."""

    name: str
    datatype: Literal[
        "BOOL",
        "UINT8",
        "UINT16",
        "UINT32",
        "UINT64",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "FP16",
        "FP32",
        "FP64",
        "BYTES",
    ]
    shape: tuple[int, ...]
    """-1 where any length is allowed; the first is the batch."""


class ModelManifest(Frozen):
    """model.json. Its own sha256 identifies the version, since it holds that of every file."""

    format: Literal["onnx"]
    service: Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
    version: VersionName
    created: AwareDatetime
    author: str
    commit: str | None = None
    """The training code's commit, when known."""
    files: tuple[ModelFile, ...] = Field(min_length=1)
    model: str
    """The file that holds the model."""
    inputs: tuple[Tensor, ...] = Field(min_length=1)
    outputs: tuple[Tensor, ...] = Field(min_length=1)
    image: dict[str, Any] | None = None
    """How a picture becomes the input; read by the serving app."""
    labels: tuple[str, ...] = ()
    scores: Literal["probabilities", "logits"] = "probabilities"
    """What the first output holds; logits go through a softmax in the serving app."""
    metrics: dict[str, Any] = Field(default_factory=dict)
    golden: tuple[dict[str, Any], ...] = ()
    """Requests with known answers."""

    @field_validator("files")
    @classmethod
    def _files(cls, value: tuple[ModelFile, ...]) -> tuple[ModelFile, ...]:
        names = [file.name for file in value]
        if len(set(names)) != len(names):
            raise ValueError("a file is listed twice")
        if MANIFEST in names:
            raise ValueError(f"{MANIFEST} lists the other files, not itself")
        return value

    @model_validator(mode="after")
    def _listed(self) -> ModelManifest:
        names = {file.name for file in self.files}
        wanted = [self.model, *(str(example["image"]) for example in self.golden if "image" in example)]
        missing = [name for name in wanted if name not in names]
        if missing:
            raise ValueError(f"named but not listed under files: {', '.join(missing)}")
        return self

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


class PinnedModel(Recorded):
    """A model version as `decide` saw it: its identity, and the ETag of every blob, on which later reads depend."""

    version: str
    sha256: Sha256
    """Of model.json's bytes."""
    created: dt.datetime
    size: int
    etags: dict[str, str]
    """File name -> ETag, model.json included."""


def manifest_sha256(content: bytes) -> str:
    """The identity of the version that this model.json describes."""
    return hashlib.sha256(content).hexdigest()
