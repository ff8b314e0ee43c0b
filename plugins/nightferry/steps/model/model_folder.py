"""A model version's folder on disk: are the files what the manifest lists?"""

from __future__ import annotations

import hashlib
from pathlib import Path

from nightferry.entities.model_version import MANIFEST, LabelsFault, ManifestFault, ModelManifest, parse_manifest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

MOST_GOLDEN = 5000
"""Golden examples of a version: each is fetched and asked in every environment of every release (ADR 9)."""


def read_manifest(folder: Path) -> tuple[ModelManifest, bytes]:
    """The folder's model.json, and its bytes.

    Raises:
        Permanent: (model_manifest_invalid: it is missing, unreadable, or not as it should be; model_labels_wrong)
    """
    try:
        content = (folder / MANIFEST).read_bytes()
        return parse_manifest(content), content
    except OSError as fault:
        raise Permanent(
            Reason.MODEL_MANIFEST_INVALID,
            f"{folder} is not a model version: {MANIFEST} cannot be read ({fault.strerror}).",
        ) from fault
    except ManifestFault as fault:
        raise Permanent(manifest_reason(fault), f"{folder / MANIFEST}: {fault}.") from fault


def manifest_reason(fault: ManifestFault) -> Reason:
    """The reason code of what is wrong in a model.json."""
    return Reason.MODEL_LABELS_WRONG if isinstance(fault, LabelsFault) else Reason.MODEL_MANIFEST_INVALID


def check_files(folder: Path, manifest: ModelManifest) -> None:
    """Hold every listed file against its size and sha256.

    Raises:
        Permanent: (model_incomplete, model_checksum_wrong)
    """
    for file in manifest.files:
        path = folder / file.name
        size = path.stat().st_size if path.is_file() else None
        if size != file.size:
            raise Permanent(
                Reason.MODEL_INCOMPLETE,
                f"{path} {'is missing' if size is None else f'has {size} bytes'}, while {MANIFEST} lists it with "
                f"{file.size} bytes.",
            )
        found = file_sha256(path)
        if found != file.sha256:
            raise checksum_wrong(manifest, file.name, found, file.sha256)


def file_sha256(path: Path) -> str:
    """sha256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checksum_wrong(manifest: ModelManifest, name: str, found: str, wanted: str) -> Permanent:
    """The failure of a file whose content is not the one listed."""
    return Permanent(
        Reason.MODEL_CHECKSUM_WRONG,
        f"{name} of model {manifest.version} has the sha256 {found[:12]}…, while {MANIFEST} lists {wanted[:12]}…; "
        "publish the model under a new version.",
    )
