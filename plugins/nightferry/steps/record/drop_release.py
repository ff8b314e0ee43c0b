"""End a release that never came into an environment: it is superseded, or somebody or something said no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.decision import Decision
from nightferry.entities.fact_key import WAITS, FactKey, of_environment
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.state.service_state import LAST, ServiceState
from nightferry.steps.record.ledger import Chain, append_with, of_release
from nightferry.steps.record.record import record_release
from nightferry.steps.record.state import decision_of, read_state


def drop(
    ledger: LedgerStore,
    clock: Clock,
    decision: Decision,
    environment: str,
    *,
    reason: str,
    sentence: str,
    facts: Mapping[str, Any] | None = None,
    actor: str | None = None,
) -> LedgerEntry | None:
    """Write that the release goes no further than before `environment`, and close it; done again it writes nothing.

    Returns the closing entry. Raises as `append_with`.
    """
    release = str(decision.release)
    key = f"{FactKey(release, of_environment(environment, WAITS))}/{reason}"

    def make(chain: Chain) -> LedgerEntry | dict[str, Any]:
        return chain.find(key, of_release(release)) or {
            "kind": Kind.WAITING,
            "key": key,
            "release": release,
            "actor": actor or decision.actor,
            "reason": reason,
            "sentence": sentence,
            "data": {"environment": environment, "dropped": True, "facts": dict(facts or {})},
        }

    append_with(ledger, clock, decision.service, make)
    return record_release(ledger, clock, decision, decision.environments)


def drop_superseded(ledger: LedgerStore, clock: Clock, service: str, *, by: str, order: int) -> LedgerEntry | None:
    """End the release that waits where something ordered after it takes its place; None: there is none.

    Args:
        by: what takes its place.
        order: that one's order.
    """
    state = read_state(ledger, service)
    if state.waiting is None or state.waiting.order >= order:
        return None
    return _superseded(ledger, clock, service, state, f"{by} is newer and takes its place")


def drop_passed_over(ledger: LedgerStore, clock: Clock, service: str) -> LedgerEntry | None:
    """End the release that waits where users of the last environment get what was ordered after it, so that it never
    goes on; None: there is none. Raises as `drop`."""
    state = read_state(ledger, service)
    if not state.superseded:
        return None
    now = state.traffic[LAST].release or "nothing"
    return _superseded(ledger, clock, service, state, f"users get {now}, which was ordered after it")


def _superseded(ledger: LedgerStore, clock: Clock, service: str, state: ServiceState, why: str) -> LedgerEntry | None:
    waiting, chain = state.waiting, Chain(ledger, service)
    decision = decision_of(chain, state, waiting.release) if waiting else None
    if waiting is None or decision is None:
        return None
    sentence = f"{waiting.release} waited and was not released: {why}."
    return drop(ledger, clock, decision, waiting.environment, reason=Reason.SUPERSEDED, sentence=sentence)
