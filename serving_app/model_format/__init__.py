"""model.json: the one reader of it, for publishing, for deploying and for the service. The standard library alone.

It lives in the service's package, because an image's app comes from its own repository, at any commit: the reader is
then always the one that this app was tested with. ADR 9 says more.
"""

from __future__ import annotations

from serving_app.model_format.files import FILES_FILE, LONGEST
from serving_app.model_format.manifest import (
    DATATYPES,
    FILES,
    MANIFEST,
    WHOLE,
    ImageSpec,
    ModelFile,
    ModelManifest,
    Tensor,
    scores_fit,
)
from serving_app.model_format.members import LabelsFault, ManifestFault
from serving_app.model_format.reader import parse_manifest
from serving_app.model_format.signature import ONNX_TYPES, element, shapes_agree

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
    "Tensor",
    "element",
    "parse_manifest",
    "scores_fit",
    "shapes_agree",
]
