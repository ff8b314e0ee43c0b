"""Write on the record that a person sent an environment's users to an earlier release, and what that bars."""

from __future__ import annotations

from dataclasses import dataclass

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.barring.quarantine import Bar, Parts, Quarantine, difference, words_for
from nightferry.entities.fact_key import RESTORED, ROLLBACK, ROLLED_BACK, FactKey, of_environment
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.state.service_state import LAST, ServiceState
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import decision_of, state_of


@dataclass(frozen=True)
class RollbackFacts:
    """One rollback."""

    service: str
    environment: str
    namespace: str
    left: str
    """The release that users are sent away from."""
    to: str
    why: str
    actor: str


def record_rollback(ledger: LedgerStore, clock: Clock, facts: RollbackFacts) -> LedgerEntry:
    """Write the order, once for each time that users got to the release which is left; the entry that stands.

    Two people who order at once meet here: the first one's order stands. In the last environment it bars what the
    release that is left has and the other one has not. Raises as `append_with`.
    """

    def make(chain: Chain) -> LedgerEntry | dict[str, object]:
        state = state_of(chain)
        traffic = state.traffic.get(facts.environment)
        came = traffic.order if traffic else 0
        if traffic and traffic.release == facts.to:  # it is done: the newest order is the one
            came = 0
        begun = of_environment(facts.environment, ROLLBACK)
        for entry in chain:
            key = FactKey.parse(entry.key)
            if key and (key.release, key.step) == (facts.left, begun) and came in (0, key.attempt):
                return entry
            if entry.kind == Kind.DECISION and entry.release == facts.left:
                break
        bars, lifts = _barring(chain, facts)
        barred = f" Barred from release: {', '.join(bar.words for bar in bars)}." if bars else ""
        barred += f" May be released again: {', '.join(one.words for one in lifts)}." if lifts else ""
        return {
            "kind": Kind.ROLLBACK,
            "key": str(FactKey(facts.left, begun, attempt=came)),
            "release": facts.left,
            "actor": facts.actor,
            "reason": Reason.ROLLED_BACK,
            "sentence": f"{facts.environment} goes back from {facts.left} to {facts.to}: {facts.why}{barred}",
            "data": {
                **_where(facts, begun),
                "to": facts.to,
                "why": facts.why,
                "bars": [bar.to_json() for bar in bars],
                "lifts": [one.number for one in lifts],
                "undone": _undone(state, facts),
            },
        }

    return ledgers.append_with(ledger, clock, facts.service, make)


def ordered_rollback(order: LedgerEntry) -> str:
    """Where an order goes."""
    return str(order.data.get("to", ""))


def record_rolled_back(ledger: LedgerStore, clock: Clock, facts: RollbackFacts, order: LedgerEntry) -> None:
    """Write that the order was carried out, about both releases, once. Raises as `append`."""
    came = FactKey.parse(order.key)
    told = {
        FactKey(facts.to, of_environment(facts.environment, RESTORED), attempt=order.sequence): (
            f"{facts.environment} serves {facts.to} again: {order.actor} rolled back from {facts.left}. {facts.why}"
        ),
        FactKey(facts.left, of_environment(facts.environment, ROLLED_BACK), attempt=came.attempt if came else None): (
            f"{facts.environment} serves {facts.to} again instead of {facts.left}."
        ),
    }
    for key, sentence in told.items():
        ledgers.append(
            ledger,
            clock,
            service=facts.service,
            kind=Kind.ROLLBACK,
            key=str(key),
            release=key.release,
            actor=order.actor,
            reason=Reason.ROLLED_BACK,
            sentence=sentence,
            data={**_where(facts, key.step), "to": facts.to, "left": facts.left, "order": order.sequence},
        )


def bars_between(chain: Chain, left: str, back: str) -> list[Bar]:
    """What a release has and the one before has not; nothing where the record does not know both."""
    state = state_of(chain)
    gone, came = decision_of(chain, state, left), decision_of(chain, state, back)
    if gone is None or came is None:
        return []
    parts = difference(gone.candidate, gone.service_spec, came.candidate, came.service_spec)
    return [Bar(parts=parts, words=words_for(parts, gone.candidate))] if parts.named() else []


def _barring(chain: Chain, facts: RollbackFacts) -> tuple[list[Bar], list[Quarantine]]:
    """What a rollback bars, and what it lifts: who goes to a newer release takes a rollback back, and frees its parts.

    An earlier environment bars nothing: what is wrong there alone never reached the users."""
    state = state_of(chain)
    if facts.environment != LAST:
        return [], []
    if not _undone(state, facts):
        return bars_between(chain, facts.left, facts.to), []
    came = decision_of(chain, state, facts.to)
    mine = Parts.of(came.candidate, came.service_spec) if came else Parts()
    return [], [one for one in state.quarantines if one.parts.among(mine)]


def _undone(state: ServiceState, facts: RollbackFacts) -> bool:
    """Whether it goes to a newer release: somebody takes a rollback back, and what is left was not found wrong."""
    return state.decided.get(facts.to, 0) > state.decided.get(facts.left, 0)


def _where(facts: RollbackFacts, step: str) -> dict[str, object]:
    return {"step": step, "environment": facts.environment, "namespace": facts.namespace}
