"""An exception from a calendar: for some hours its windows do not bar a service."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from nightferry.entities.frozen import Recorded
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason


class FreezeException(Recorded):
    """One person asked for it; it stands once another one has confirmed it, and ends by itself."""

    number: int
    """The sequence of the entry that asked; with it, it is confirmed."""
    asked: str
    """UTC, RFC 3339."""
    actor: str
    """Who asked."""
    why: str
    until: str
    """UTC, RFC 3339."""
    confirmed: str = ""
    """When; empty: not yet."""
    confirmer: str = ""

    def over(self, now: dt.datetime) -> bool:
        """Whether its time is over."""
        return now >= dt.datetime.fromisoformat(self.until)

    def stands(self, moment: dt.datetime) -> bool:
        """Whether it lifts the windows at the moment."""
        return bool(self.confirmed) and dt.datetime.fromisoformat(self.confirmed) <= moment and not self.over(moment)


def excepted_after(exceptions: Sequence[FreezeException], entry: LedgerEntry) -> tuple[FreezeException, ...]:
    """The exceptions after an entry that asked for one or confirmed one. Those whose time was over are forgotten."""
    now = dt.datetime.fromisoformat(entry.time)
    kept = tuple(one for one in exceptions if not one.over(now))
    if entry.reason == Reason.EXCEPTION_CONFIRMED:
        told = {"confirmed": entry.time, "confirmer": entry.actor}
        number = entry.data.get("confirms")
        return tuple(one.model_copy(update=told) if one.number == number else one for one in kept)
    if entry.reason == Reason.EXCEPTION_ASKED:
        why, until = str(entry.data.get("why", "")), str(entry.data["until"])
        return (
            *kept,
            FreezeException(number=entry.sequence, asked=entry.time, actor=entry.actor, why=why, until=until),
        )
    return kept
