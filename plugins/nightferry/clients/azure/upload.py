"""Upload a model version to Azure Blob Storage: the files, then model.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightferry.clients.azure.listing import metadata_of
from nightferry.clients.doors.model_repository import OnBytes
from nightferry.entities.model_version import MANIFEST, ModelFile, ModelManifest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties, ContainerClient

_SHA256 = "nightferry_sha256"


def upload_version(
    container: ContainerClient,
    place: str,
    folder: Path,
    manifest: ModelManifest,
    content: bytes,
    blobs: Mapping[str, BlobProperties],
    on_bytes: OnBytes | None,
) -> tuple[str, ...]:
    """Upload what is missing; the names of what was uploaded.

    1. A file that an earlier, interrupted try left is kept when it is the same, else replaced: without model.json
       the version does not exist, so nobody can be using it.
    2. model.json is created only if it is not there. Someone else may have been publishing the same version: the same
       content is success, other content is not.

    Raises:
        Permanent: (model_exists)   the Azure SDK's errors
    """
    uploaded = []
    for file in manifest.files:
        if _is_there(blobs.get(file.name), file):
            continue
        _upload(container, f"{place}/{file.name}", folder / file.name, file, blobs.get(file.name), on_bytes)
        uploaded.append(file.name)
    return (*uploaded, *_finish(container, f"{place}/{MANIFEST}", manifest, content, on_bytes))


def _is_there(blob: BlobProperties | None, file: ModelFile) -> bool:
    return blob is not None and blob.size == file.size and (blob.metadata or {}).get(_SHA256) == file.sha256


def _upload(
    container: ContainerClient,
    name: str,
    path: Path,
    file: ModelFile,
    leftover: BlobProperties | None,
    on_bytes: OnBytes | None,
) -> None:
    from azure.core import MatchConditions

    condition: dict[str, Any] = (
        {"etag": leftover.etag, "match_condition": MatchConditions.IfNotModified} if leftover else {}
    )
    with path.open("rb") as stream:
        container.upload_blob(
            name,
            stream,
            length=file.size,
            overwrite=leftover is not None,
            metadata={_SHA256: file.sha256},
            max_concurrency=2,
            progress_hook=_steps(on_bytes),
            **condition,
        )


def _finish(
    container: ContainerClient, name: str, manifest: ModelManifest, content: bytes, on_bytes: OnBytes | None
) -> tuple[str, ...]:
    from azure.core.exceptions import ResourceExistsError
    from azure.storage.blob import ContentSettings

    try:
        container.upload_blob(
            name,
            content,
            overwrite=False,
            metadata=metadata_of(manifest, content),
            content_settings=ContentSettings(content_type="application/json"),
        )
    except ResourceExistsError as error:
        if bytes(container.download_blob(name).readall()) != content:
            raise Permanent(
                Reason.MODEL_EXISTS,
                f"Model {manifest.version} was published by someone else just now, with other content; "
                "versions never change: publish under a new name.",
            ) from error
        return ()
    if on_bytes:
        on_bytes(len(content))
    return (MANIFEST,)


def _steps(on_bytes: OnBytes | None) -> Callable[[int, int | None], None] | None:
    """The SDK tells the sum so far; progress wants what was added."""
    if on_bytes is None:
        return None
    told = 0

    def hook(sent: int, _total: int | None) -> None:
        nonlocal told
        on_bytes(sent - told)
        told = sent

    return hook
