"""The previews of a service that are not over by its record."""

from __future__ import annotations

from nightferry.entities.frozen import Recorded
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.preview import ENDS, PREVIEW, PreviewId, is_preview
from nightferry.entities.reason import Reason

KEPT = 50
"""How many are remembered as open at once; more are never up, since places are few."""


class OpenPreview(Recorded):
    """A preview that is being made, or is up."""

    preview: str
    sequence: int
    """Of the entry that pinned it."""
    since: str
    """When it was asked for (UTC, RFC 3339)."""
    actor: str
    model: str
    """The model's version."""
    commit: str
    hours: int
    until: str = ""
    """When its time is over (UTC, RFC 3339); empty while it is not up."""
    address: str = ""
    up: int | None = None
    """The sequence of the entry that says that it is up, with the comparison; None before."""


def previews_after(previews: tuple[OpenPreview, ...], entry: LedgerEntry) -> tuple[OpenPreview, ...]:
    """The open previews with one entry of the kind `preview` more."""
    name = str(entry.data.get(PREVIEW) or "")
    left = tuple(one for one in previews if one.preview != name)
    if not name or entry.data.get(ENDS):
        return left
    known = next((one for one in previews if one.preview == name), None)
    if entry.reason == Reason.PREVIEWING and known is None:
        return (*left, _asked(name, entry))[-KEPT:]
    if entry.reason == Reason.PREVIEWED and known is not None:
        told = {name: str(entry.data.get(name) or "") for name in ("until", "address")}
        return (*left, known.model_copy(update={**told, "up": entry.sequence}))
    return previews


def number_in(entry: LedgerEntry) -> int:
    """The number of the preview that an entry is about; 0 for none."""
    name = str(entry.data.get(PREVIEW) or "")
    return PreviewId.parse(name).number if is_preview(name) else 0


def _asked(name: str, entry: LedgerEntry) -> OpenPreview:
    candidate = entry.data.get("candidate") or {}
    return OpenPreview(
        preview=name,
        sequence=entry.sequence,
        since=entry.time,
        actor=entry.actor,
        model=str(candidate.get("model", {}).get("version", "")),
        commit=str(candidate.get("source", {}).get("commit", "")),
        hours=int(entry.data.get("hours") or 0),
    )
