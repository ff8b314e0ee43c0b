"""The format files: a model that nobody opens but the app that it is for."""

from __future__ import annotations

import re

from serving_app.model_format.common import common
from serving_app.model_format.manifest import FILES, WHOLE, ModelManifest
from serving_app.model_format.members import ManifestFault, Members
from serving_app.model_format.onnx import MEMBERS as ONNX_MEMBERS

MEMBERS = (*("format", "service", "version", "created", "author", "commit", "files", "model", "metrics", "golden"),)
OF_ONNX = tuple(name for name in ONNX_MEMBERS if name not in MEMBERS)
LONGEST = 100
"""Characters of one part of a file's name."""
FILES_FILE = re.compile(
    rf"[A-Za-z0-9_][-_.A-Za-z0-9]{{0,{LONGEST - 1}}}(/[A-Za-z0-9_][-_.A-Za-z0-9]{{0,{LONGEST - 1}}})*"
)
"""Below the version's folder: no part begins with a dot."""


def files_manifest(value: dict[str, object]) -> ModelManifest:
    """The manifest of a model that only its app opens. Its golden examples are HTTP exchanges, `{"request": …,
    "answer": …}`; here they are objects, and who asks them reads them.

    Raises:
        ManifestFault: a member that is missing, unknown or wrong.
    """
    for name in OF_ONNX:
        if name in value:
            raise ManifestFault(
                f"{name} is not a member of the format files, which only the service's own app opens; leave it out"
            )
    document = Members(value, "", MEMBERS)
    members = common(document, FILES_FILE)
    names = [file.name for file in members["files"]]
    if document.get("model", None) is None and len(names) > 1:
        raise ManifestFault(
            f'model is missing; name the file or folder that the app opens, or "{WHOLE}", the whole folder'
        )
    model = document.text("model").removesuffix("/") if document.get("model", None) is not None else names[0]
    if model != WHOLE and not any(name == model or name.startswith(f"{model}/") for name in names):
        raise ManifestFault(f"model is {model!r}, which is neither among files nor a folder of one")
    return ModelManifest(**members, format=FILES, model=model, inputs=(), outputs=())
