"""Publish a model version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nightferry.clients.model_repository import ModelRepository, OnBytes
from nightferry.entities.model_version import manifest_sha256
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.check_signature import check_signature
from nightferry.steps.model.model_folder import check_files, read_manifest


@dataclass(frozen=True)
class PublishedModel:
    """A version that is in the repository now."""

    version: str
    sha256: str
    """Of model.json: the version's identity."""
    size: int
    """Bytes of all files."""
    uploaded: tuple[str, ...]
    """The files that were uploaded just now; none: the same version was there already."""


def publish_model(
    folder: Path, service: str, models: ModelRepository, on_bytes: OnBytes | None = None
) -> PublishedModel:
    """Upload a model version, model.json last; a version that is not whole does not exist for anyone.

    Everything is checked before the first byte leaves: the manifest, that it is for this service, every file's size
    and sha256, and that the model opens with the declared signature. Done again with the same version it uploads
    nothing; after an interruption it uploads what is missing.

    Args:
        folder: holds model.json and the files it lists.
        service: the service that the model is for.
        models: the service's model repository.
        on_bytes: told of every piece that was sent, for progress.

    Raises:
        Permanent: (model_manifest_invalid, model_incomplete, model_checksum_wrong, model_not_onnx,
            model_signature_wrong, model_labels_wrong, model_exists: this version was published with other content,
            model_repository_missing, storage_denied)
        Temporary: (storage_unavailable)
    """
    manifest, content = read_manifest(folder)
    if manifest.service != service:
        raise Permanent(
            Reason.MODEL_MANIFEST_INVALID,
            f"{folder} is a model for the service {manifest.service}, not for {service}.",
        )
    check_files(folder, manifest)
    check_signature(folder, manifest)
    uploaded = models.publish(folder, manifest, content, on_bytes)
    return PublishedModel(manifest.version, manifest_sha256(content), manifest.size, uploaded)
