"""A service, or everything, barred from new releases by a person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from nightferry.entities.frozen import Recorded
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason

EVERYTHING = "_all"
"""The chain whose holds count for every service. No service can be called so."""


class Hold(Recorded):
    """Nothing new is released while it stands. Going back is never held."""

    number: int
    """The sequence of the entry that began it; with it, it is ended."""
    since: str
    """UTC, RFC 3339."""
    actor: str
    why: str
    until: str | None = None
    """UTC, RFC 3339; None: until a person ends it."""
    everything: bool = False
    """It is one of every service."""

    def stands(self, now: dt.datetime) -> bool:
        """Whether its time is not over."""
        return self.until is None or now < dt.datetime.fromisoformat(self.until)


def said(hold: Hold, service: str) -> str:
    """The hold in words, as it bars a service."""
    what = "Everything is" if hold.everything else f"{service} is"
    until = f" until {hold.until}" if hold.until else ""
    return f"{what} held{until} by {hold.actor}: {hold.why.rstrip('.')}."


def held_after(holds: Sequence[Hold], entry: LedgerEntry) -> tuple[Hold, ...]:
    """The holds after an entry that began one or ended some."""
    if entry.reason == Reason.RESUMED:
        ended = entry.data.get("ends") or []
        return tuple(hold for hold in holds if hold.number not in ended)
    why, until = str(entry.data.get("why", entry.sentence)), entry.data.get("until")
    everything = entry.service == EVERYTHING
    hold = Hold(number=entry.sequence, since=entry.time, actor=entry.actor, why=why, until=until, everything=everything)
    return (*holds, hold)
