"""What a listing shows of a version: kept as metadata of model.json, so that a listing needs to read no file."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from urllib.parse import quote, unquote

from nightferry.clients.model_repository import ModelListing
from nightferry.entities.model_version import MANIFEST, ManifestFault, ModelManifest, manifest_sha256, parse_manifest

KEY = "nightferry_listing"
_LIMIT = 6000
"""Azure takes 8 KB of metadata for a blob."""


def metadata_of(manifest: ModelManifest, content: bytes) -> dict[str, str]:
    """The metadata of a version's model.json; none when it would be too long."""
    shown = asdict(_shown(manifest, content))
    del shown["version"]
    text = quote(json.dumps(shown, separators=(",", ":")), safe=" :,{}[]")
    return {KEY: text} if len(text) <= _LIMIT else {}


def described(version: str, metadata: Mapping[str, str] | None) -> ModelListing | None:
    """The listing that the metadata describes; None when it does not, as after an upload by other tools."""
    text = next((value for key, value in (metadata or {}).items() if key.lower() == KEY), None)
    if text is None:
        return None
    try:
        listing = ModelListing(version=version, **json.loads(unquote(text)))
        listing.age  # noqa: B018 - it raises where `created` is no time
    except (ValueError, TypeError):
        return None
    return listing


def read_listing(version: str, content: bytes, modified: dt.datetime) -> ModelListing:
    """The listing that model.json itself gives; one that is not as it should be counts by when it was written."""
    try:
        manifest = parse_manifest(content)
    except ManifestFault as fault:
        return ModelListing(version, _utc(modified), "", 0, {}, manifest_sha256(content), f"{MANIFEST}: {fault}")
    return replace(_shown(manifest, content), version=version)


def _shown(manifest: ModelManifest, content: bytes) -> ModelListing:
    return ModelListing(
        version=manifest.version,
        created=_utc(manifest.created),
        author=manifest.author,
        size=manifest.size,
        # JSON knows no NaN.
        metrics={key: value for key, value in manifest.metrics.items() if value == value},
        sha256=manifest_sha256(content),
    )


def _utc(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
