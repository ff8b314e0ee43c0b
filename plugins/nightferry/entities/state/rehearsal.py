"""What a rehearsal found: whether the releases that could be gone back to would start and answer."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from nightferry.entities.frozen import Frozen, Recorded
from nightferry.entities.ledger_entry import LedgerEntry


class Outcome(StrEnum):
    """What came of trying one release."""

    RIGHT = "right"
    WRONG = "wrong"
    """It does not start, or does not answer rightly."""
    NOT_PULLED = "not_pulled"
    """Its image could not be pulled: gone back to on another node, it would not start."""
    NOT_SEEN = "not_seen"
    """It could not be looked at: no room, a system that did not answer."""
    NOT_TRIED = "not_tried"
    """What it needs is not where releases are tried, such as a Secret."""


class Tried(Frozen):
    """One release that was tried."""

    release: str
    image: str
    outcome: Outcome
    sentence: str
    seconds: float


class Rehearsal(Recorded):
    """The newest rehearsal of a service, as the state keeps it."""

    sequence: int
    time: str
    """UTC, RFC 3339."""
    reason: str
    sentence: str
    outcomes: dict[str, str]
    """Release -> what came of it, the newest release first."""


def rehearsed_by(entry: LedgerEntry) -> Rehearsal:
    """What an entry of the kind `rehearsal` says."""
    tried: Sequence[Any] = entry.data.get("tried") or []
    return Rehearsal(
        sequence=entry.sequence,
        time=entry.time,
        reason=entry.reason,
        sentence=entry.sentence,
        outcomes={str(one.get("release")): str(one.get("outcome")) for one in tried if isinstance(one, dict)},
    )
