"""A canary as the record has it: which share of an environment's users gets a release that is not in use yet."""

from __future__ import annotations

from typing import Any

from nightferry.entities.fact_key import (
    CANARY,
    CANARY_ENDED,
    CANARY_PASSED,
    ROLLBACK,
    WITHDRAWAL,
    FactKey,
    of_environment,
)
from nightferry.entities.frozen import Recorded
from nightferry.entities.ledger_entry import LedgerEntry


class Canary(Recorded):
    """The newest leg of a canary: one share, for a time. A step that was interrupted takes several legs."""

    release: str
    order: int
    """The sequence of the release's decision: of two canaries the one that was ordered later stays."""
    number: int
    """Which leg of the release it is, from 1."""
    step: int
    """Which step of the strategy, from 1."""
    steps: int
    """How many there are."""
    share: int
    """Percent of the users."""
    seconds: float
    """How long the share is to stay, from `since`."""
    since: str
    """UTC, RFC 3339."""
    passed: bool = False
    """The step was judged right; the next one has not begun."""
    ended: str = ""
    """Why nobody gets the release any more, as a reason code; empty while its share stands."""
    left: float = 0.0
    """Of one that was interrupted: seconds of the step that are to be made up for."""
    withdrawing: int | None = None
    """The sequence of the order to end it, while that is not done."""

    @property
    def stands(self) -> bool:
        """Whether users get their share of it."""
        return not self.ended

    @property
    def words(self) -> str:
        """`10 % get digits-2026-11-21.2 (canary, step 1 of 2)`."""
        return f"{self.share} % get {self.release} (canary, step {self.step} of {self.steps})"


def canary_after(now: Canary | None, entry: LedgerEntry, where: str) -> Canary | None:
    """The canary of an environment after an entry that does not say what all its users get."""
    key = FactKey.parse(entry.key)
    if key is None:
        return now
    if key.step == of_environment(where, CANARY):
        return Canary.model_validate({**entry.data["canary"], "since": entry.time})
    if now is None or now.release != entry.release:
        return now
    if key.step == of_environment(where, CANARY_PASSED) and key.attempt == now.number:
        return now.model_copy(update={"passed": True})
    if key.step == of_environment(where, CANARY_ENDED) and key.attempt == now.number:
        return now.model_copy(update={"ended": entry.reason, "left": float(entry.data.get("left") or 0.0)})
    ordered = key.step in (of_environment(where, WITHDRAWAL), of_environment(where, ROLLBACK))
    if ordered and not key.outcome:
        return now.model_copy(update={"ended": entry.reason, "left": 0.0, "withdrawing": entry.sequence})
    return now


def met(canary: Canary, seconds: float, requests: int | None) -> dict[str, Any]:
    """How many users met it, for the record."""
    return {"share": f"{canary.share}%", "seconds": round(seconds, 1), "requests": requests}
