"""A release that waits before an environment: for a person, for a window to open, or to be released at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from nightferry.entities.frozen import Recorded
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason


class Waiting(Recorded):
    """The newest release that waits. No run and no task waits with it: a run that goes on with it is started."""

    release: str
    environment: str
    """What it waits before."""
    reason: str
    """What for: `published` (nobody asked for more yet), `frozen`, `awaits_approval`."""
    sentence: str
    since: str
    """UTC, RFC 3339."""
    until: str | None = None
    """When that ends by itself, or is over (UTC, RFC 3339); None: it does not."""
    order: int
    """The sequence of the release's decision: of two that wait, the newer one counts."""
    image: str
    """`repo@sha256:…`"""
    facts: dict[str, Any] = Field(default_factory=dict)
    sequence: int
    """Of the entry that says so."""


def waiting_after(now: Waiting | None, entry: LedgerEntry, order: int) -> Waiting | None:
    """What waits with one entry more: the newest release that does, until it goes on, comes into use, or ends.

    Args:
        now: what waited before the entry.
        entry: the entry.
        order: the sequence of the decision of the entry's release.
    """
    mine = now is not None and now.release == entry.release
    if entry.kind == Kind.WAITING and not entry.data.get("dropped"):
        return _waiting_by(entry, order) if now is None or mine or order > now.order else now
    if now is None or not mine:
        return now
    over = entry.kind == Kind.RELEASE or entry.reason == Reason.CONTINUED or came_in(entry, now.environment)
    return None if over else now


def _waiting_by(entry: LedgerEntry, order: int) -> Waiting:
    return Waiting(
        release=str(entry.release),
        environment=str(entry.data.get("environment", "")),
        reason=entry.reason,
        sentence=entry.sentence,
        since=entry.time,
        until=entry.data.get("until"),
        order=order,
        image=str(entry.data.get("image", "")),
        facts=entry.data.get("facts") or {},
        sequence=entry.sequence,
    )


def came_in(entry: LedgerEntry, environment: str) -> bool:
    """Whether the entry says that the environment's users get its release, whatever kept it before."""
    return entry.reason == Reason.ROLLED_OUT and entry.data.get("environment") == environment


def waits(entries: Sequence[LedgerEntry]) -> bool:
    """Whether a release waits, by its entries, oldest first."""
    where = ""
    for entry in entries:
        if entry.kind == Kind.WAITING:
            where = "" if entry.data.get("dropped") else str(entry.data.get("environment"))
        elif entry.kind == Kind.RELEASE or entry.reason == Reason.CONTINUED or came_in(entry, where):
            where = ""
    return bool(where)
