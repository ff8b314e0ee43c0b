"""Write on the record what a rehearsal found: one fact for each service and night."""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.state.rehearsal import Outcome, Tried
from nightferry.steps.record.ledger import Chain, append

_SAID = {
    Outcome.RIGHT: "would start and answer",
    Outcome.WRONG: "would not",
    Outcome.NOT_PULLED: "cannot be pulled",
    Outcome.NOT_SEEN: "could not be looked at",
    Outcome.NOT_TRIED: "was not tried",
}


def rehearsed(ledger: LedgerStore, service: str, night: str) -> LedgerEntry | None:
    """The fact of a night whose rehearsal has come to its end. Raises as `LedgerStore.names`."""
    return Chain(ledger, service).find(_key(night))


def record_rehearsal(
    ledger: LedgerStore, clock: Clock, *, service: str, night: str, actor: str, tried: Sequence[Tried]
) -> LedgerEntry:
    """Write what was found. One that could not look at everything has a fact of its own, once, so that the next try of
    that night still writes what it finds.

    Raises as `append_with`.
    """
    reason = reason_of(tried)
    return append(
        ledger,
        clock,
        service=service,
        kind=Kind.REHEARSAL,
        key=_key(night) + (":unseen" if reason is Reason.REHEARSAL_UNSEEN else ""),
        release=None,
        actor=actor,
        reason=reason,
        sentence=sentence_of(tried),
        data={"tried": [one.to_json() for one in tried]},
    )


def reason_of(tried: Sequence[Tried]) -> Reason:
    """What it came to: what is wrong counts before what could not be seen."""
    outcomes = {one.outcome for one in tried}
    if outcomes & {Outcome.WRONG, Outcome.NOT_PULLED}:
        return Reason.REHEARSAL_FAILED
    return Reason.REHEARSAL_UNSEEN if Outcome.NOT_SEEN in outcomes else Reason.REHEARSED


def sentence_of(tried: Sequence[Tried]) -> str:
    """The same in a sentence, what is not right with its reason."""
    if not tried:
        return "No release was verified in production yet, so there is none to go back to."
    right = [one for one in tried if one.outcome is Outcome.RIGHT]
    said = f"{len(right)} of the last {len(tried)} good releases would start and answer"
    told = [f"{one.release} {_SAID[one.outcome]}: {one.sentence}" for one in tried if one.outcome is not Outcome.RIGHT]
    return f"{said}; {' '.join(told)}" if told else f"{said}."


def _key(night: str) -> str:
    return f"rehearsal:{night}"
