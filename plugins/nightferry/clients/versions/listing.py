"""What a listing shows of a version: JSON that is kept where a listing finds it, so that it needs to read no file."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import asdict, replace

from nightferry.clients.doors.model_repository import ModelListing
from nightferry.entities.model_version import MANIFEST, ManifestFault, ModelManifest, manifest_sha256, parse_manifest

_HEX = re.compile(r"[0-9a-f]{64}")


def listing_text(listing: ModelListing) -> str:
    """The listing as JSON, without its version: it is kept under that."""
    shown = asdict(listing)
    del shown["version"]
    if not shown["problem"]:
        del shown["problem"]
    return json.dumps(shown, separators=(",", ":"))


def listing_of_text(version: str, text: str) -> ModelListing | None:
    """The listing that such JSON holds; None when it holds none, as what another tool wrote there."""
    try:
        listing = ModelListing(version=version, **json.loads(text))
        listing.age  # noqa: B018 - it raises where `created` is no time
        sound = bool(_HEX.fullmatch(listing.sha256)) and isinstance(listing.metrics, dict)
        sound = sound and all(isinstance(text, str) for text in (listing.author, listing.problem))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    return listing if sound and isinstance(listing.size, int) else None


def read_listing(version: str, content: bytes, modified: dt.datetime) -> ModelListing:
    """The listing that model.json itself gives; one that is not as it should be counts by when it was written."""
    try:
        manifest = parse_manifest(content)
    except ManifestFault as fault:
        return ModelListing(version, _utc(modified), "", 0, {}, manifest_sha256(content), f"{MANIFEST}: {fault}")
    return replace(listing_of(manifest, content), version=version)


def listing_of(manifest: ModelManifest, content: bytes) -> ModelListing:
    """The listing of a version that is being published."""
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
