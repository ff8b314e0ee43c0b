"""A version's listing as metadata of its model.json: one listing of blobs shows them all."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

from nightferry.clients.doors.model_repository import ModelListing
from nightferry.clients.versions.listing import listing_of, listing_of_text, listing_text
from nightferry.entities.model_version import ModelManifest

KEY = "nightferry_listing"
_LIMIT = 6000
"""Azure takes 8 KB of metadata for a blob."""


def metadata_of(manifest: ModelManifest, content: bytes) -> dict[str, str]:
    """The metadata of a version's model.json; none when it would be too long."""
    text = quote(listing_text(listing_of(manifest, content)), safe=" :,{}[]")
    return {KEY: text} if len(text) <= _LIMIT else {}


def described(version: str, metadata: Mapping[str, str] | None) -> ModelListing | None:
    """The listing that the metadata describes; None when it does not, as after an upload by other tools."""
    text = next((value for key, value in (metadata or {}).items() if key.lower() == KEY), None)
    return None if text is None else listing_of_text(version, unquote(text))
