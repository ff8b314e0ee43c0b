"""A version as it is pinned: model.json read and held against what is there. The sentences are the same for every
system, with the address of the repository in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nightferry.entities.model_version import (
    MANIFEST,
    ManifestFault,
    ModelManifest,
    PinnedModel,
    manifest_sha256,
    parse_manifest,
    pinned_files,
)
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent


@dataclass(frozen=True)
class StoredFile:
    """A file of a version, as the system that holds it describes it."""

    size: int
    etag: str
    """What later reads depend on; as a condition wants it."""


def pin_files(
    where: str, version: str, content: bytes, files: Mapping[str, StoredFile]
) -> tuple[PinnedModel, ModelManifest]:
    """The version, from the bytes of its model.json and what is there.

    Raises:
        Permanent: (model_manifest_invalid) model.json is wrong; (model_incomplete) a file that it lists is not there or
            has another size.
    """
    manifest = _parsed(where, version, content)
    for file in manifest.files:
        stored = files.get(file.name)
        if stored is None or stored.size != file.size:
            raise Permanent(
                Reason.MODEL_INCOMPLETE,
                f"Model {version} in {where} is incomplete: {file.name} "
                f"{'is missing' if stored is None else f'has {stored.size} bytes'}, while {MANIFEST} lists it with "
                f"{file.size} bytes; publish the model under a new version.",
            )
    pinned = PinnedModel(
        version=version,
        sha256=manifest_sha256(content),
        created=manifest.created,
        size=manifest.size,
        etags={name: files[name].etag for name in pinned_files(manifest)},
    )
    return pinned, manifest


def unknown(where: str, version: str, *, begun: bool) -> Permanent:
    """There is no such version, or one without model.json (`begun`)."""
    if begun:
        return Permanent(
            Reason.MODEL_UNKNOWN,
            f"Model {version} in {where} is not complete: it has no {MANIFEST}, which is uploaded last; "
            "finish it with `nightferry models publish`.",
        )
    return Permanent(
        Reason.MODEL_UNKNOWN,
        f"There is no model {version} in {where}; `nightferry models list` shows the ones there are.",
    )


def overwritten(where: str, version: str, name: str) -> Permanent:
    """A file is not the one that was pinned."""
    return Permanent(
        Reason.MODEL_OVERWRITTEN,
        f"{name} of model {version} in {where} was overwritten or removed after it was decided on; versions "
        "never change: publish the model under a new version and start the release again.",
    )


def exists(where: str, version: str) -> Permanent:
    """Another content has that version's name."""
    return Permanent(
        Reason.MODEL_EXISTS,
        f"Model {version} is in {where} already, with other content; versions never change: publish under a new name.",
    )


def _parsed(where: str, version: str, content: bytes) -> ModelManifest:
    try:
        manifest = parse_manifest(content)
        if manifest.version != version:
            raise ManifestFault(f"version is {manifest.version}, not that of its folder")
    except ManifestFault as fault:
        raise Permanent(
            Reason.MODEL_MANIFEST_INVALID,
            f"Model {version} in {where}: {MANIFEST}: {fault}; publish it again under a new version.",
        ) from fault
    return manifest
