"""Fetch a model version's golden examples, without the model: what a rollout needs of it."""

from __future__ import annotations

from pathlib import Path

from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.clients.full_disk import full_disk
from nightferry.entities.model_version import MANIFEST, ModelManifest, PinnedModel, manifest_sha256
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.model_folder import checksum_wrong, read_manifest


def fetch_golden(pinned: PinnedModel, models: ModelRepository, folder: Path) -> ModelManifest:
    """Download model.json and the golden examples' files into `folder`; the manifest.

    Raises:
        Permanent: (model_overwritten, model_checksum_wrong, model_manifest_invalid, disk_full, storage_denied)
        Temporary: (storage_unavailable)
    """
    with full_disk(folder):
        manifest = fetch_manifest(pinned, models, folder)
        wanted = {str(example["image"]) for example in manifest.golden if "image" in example}
        for file in manifest.files:
            if file.name in wanted:
                target = folder / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                found = models.download(pinned, file.name, target)
                if found != file.sha256:
                    raise checksum_wrong(manifest, file.name, found, file.sha256)
    return manifest


def fetch_manifest(pinned: PinnedModel, models: ModelRepository, folder: Path) -> ModelManifest:
    """Download model.json alone into `folder`.

    Raises:
        Permanent: (model_overwritten, model_manifest_invalid, disk_full, storage_denied)
        Temporary: (storage_unavailable)
    """
    with full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        models.download(pinned, MANIFEST, folder / MANIFEST)
        manifest, content = read_manifest(folder)
        if manifest_sha256(content) != pinned.sha256:
            raise Permanent(
                Reason.MODEL_OVERWRITTEN,
                f"{MANIFEST} of model {pinned.version} is not the one that was decided on; start the release again.",
            )
    return manifest
