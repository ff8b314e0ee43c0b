"""A model version: what its author declares in model.json, and what `decide` pinned of it.

model.json is read by the service's own reader (`serving_app.model_format`, ADR 9), which enters nightferry here alone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import Annotated

from pydantic import StringConstraints

from nightferry.entities.frozen import Recorded
from serving_app.model_format import (
    DATATYPES,
    FILES,
    FILES_FILE,
    LONGEST,
    MANIFEST,
    ONNX_TYPES,
    WHOLE,
    ImageSpec,
    LabelsFault,
    ManifestFault,
    ModelFile,
    ModelManifest,
    Tensor,
    element,
    parse_manifest,
    scores_fit,
    shapes_agree,
)

__all__ = [
    "DATATYPES",
    "FILES",
    "FILES_FILE",
    "LONGEST",
    "MANIFEST",
    "ONNX_TYPES",
    "WHOLE",
    "ImageSpec",
    "LabelsFault",
    "ManifestFault",
    "ModelFile",
    "ModelManifest",
    "PinnedModel",
    "Sha256",
    "Tensor",
    "VersionName",
    "element",
    "is_version_name",
    "manifest_sha256",
    "parse_manifest",
    "pinned_files",
    "scores_fit",
    "shapes_agree",
]

_VERSION, _LONGEST_VERSION = r"^[A-Za-z0-9][-_.A-Za-z0-9]*$", 80
VersionName = Annotated[str, StringConstraints(pattern=_VERSION, max_length=_LONGEST_VERSION)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class PinnedModel(Recorded):
    """A model version as `decide` saw it: its identity, and the ETags on which later reads depend."""

    version: str
    sha256: Sha256
    """Of model.json's bytes."""
    created: dt.datetime
    size: int
    etags: dict[str, str]
    """File name -> ETag, of the files in `pinned_files`. A file without one is held against its sha256 alone."""


def is_version_name(text: str) -> bool:
    """Whether a version may be called so."""
    return len(text) <= _LONGEST_VERSION and re.fullmatch(_VERSION, text) is not None


def pinned_files(manifest: ModelManifest) -> tuple[str, ...]:
    """model.json and what the model consists of. Golden examples can be thousands, and a decision is kept for ever:
    model.json, which is pinned, has the sha256 that each of them is checked against."""
    golden = manifest.golden_files - {manifest.model}
    return (MANIFEST, *(file.name for file in manifest.files if file.name not in golden))


def manifest_sha256(content: bytes) -> str:
    """The identity of the version that this model.json describes."""
    return hashlib.sha256(content).hexdigest()
