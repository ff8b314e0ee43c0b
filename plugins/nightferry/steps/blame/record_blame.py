"""Write down who was blamed for a failed gate, once for each failure, and what that bars."""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.barring.blame import BLAME, Blame
from nightferry.entities.decision import Decision
from nightferry.entities.fact_key import FAILED, FactKey
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.state.service_state import LAST
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain


def blames_of(entries: Sequence[LedgerEntry]) -> list[Blame]:
    """What was written about a release's failed gates, oldest first."""
    return [Blame.model_validate(entry.data) for entry in entries if entry.kind == Kind.BLAME]


def settled(entries: Sequence[LedgerEntry], step: str, reason: str, fault: str) -> Blame | None:
    """What was found out about this very failure already; None: nothing, or that it could not be found out."""
    found = [one for one in blames_of(entries)[-1:] if one.settled and one.subject == (step, reason, fault)]
    return found[0] if found else None


def record_blame(
    ledger: LedgerStore, clock: Clock, decision: Decision, blame: Blame, seconds: float = 0.0
) -> LedgerEntry:
    """Write it; the entry that stands, where somebody was first. Raises as `append_with`."""
    release = str(decision.release)

    def make(chain: Chain) -> LedgerEntry | dict[str, object]:
        known = release_entries(chain.store, release)
        told = [entry for entry in known if entry.kind == Kind.BLAME]
        same = told[-1:] and Blame.model_validate(told[-1].data)
        if same and same.subject == blame.subject and (same.settled or same == blame):
            return told[-1]
        number = len(told) + 1
        outcome = "" if blame.settled else FAILED
        return {
            "kind": Kind.BLAME,
            "key": str(FactKey(release, BLAME, outcome, number if outcome or number > 1 else None)),
            "release": release,
            "actor": decision.actor,
            "reason": Reason.BLAMED if blame.guilty else Reason.NOT_BLAMED,
            "sentence": blame.told,
            "data": blame.about() | {"unseen": not _met_users(known), "seconds": round(seconds, 1)},
        }

    return ledgers.append_with(ledger, clock, decision.service, make)


def _met_users(known: Sequence[LedgerEntry]) -> bool:
    """Whether users of the last environment got the release at some time, all of them or a canary's share."""
    met = (Reason.ROLLED_OUT, Reason.CANARY_SHIFTED)
    return any(entry.reason in met and entry.data.get("environment") == LAST for entry in known)
