"""The state of a service: the fold over its record, read through a cache that can be thrown away.

The cache holds a state that was folded before, with the digest of the newest entry in it. It is taken only where the
chain has that very entry; then the entries after it are read, and no others.
"""

from __future__ import annotations

from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.decision import Decision
from nightferry.entities.state.service_state import FOLD, ServiceState
from nightferry.steps.record.ledger import Chain

_REMEMBER_AFTER = 8
"""So many entries are read again rather than kept at each look."""


def state_of(chain: Chain) -> ServiceState:
    """The service's state at the chain's head.

    Raises:
        Permanent: (ledger_broken, ledger_missing, storage_denied)   Temporary: (storage_unavailable)
    """
    kept = _recalled(chain.store, chain.service)
    newer = []
    for entry in chain:
        if entry.sequence == kept.sequence and entry.digest == kept.digest:
            break
        newer.append(entry)
    else:
        kept = ServiceState()
    state = kept
    for entry in reversed(newer):
        state = state.after(entry)
    if len(newer) >= _REMEMBER_AFTER:
        chain.store.remember(_name(chain.service), state.model_dump_json().encode())
    return state


def read_state(store: LedgerStore, service: str) -> ServiceState:
    """The service's state as it is now. Raises as `state_of`."""
    return state_of(Chain(store, service))


def decision_of(chain: Chain, state: ServiceState, release: str | None) -> Decision | None:
    """The decision that a release was made by; None where the state does not know it."""
    return decision_at(chain, state.decided.get(release or ""))


def decision_at(chain: Chain, sequence: int | None) -> Decision | None:
    """The decision that an entry holds; None for no entry."""
    return Decision.model_validate(chain.at(sequence).data) if sequence else None


def _recalled(store: LedgerStore, service: str) -> ServiceState:
    content = store.recall(_name(service))
    if content is None:
        return ServiceState()
    try:
        state = ServiceState.model_validate_json(content)
    except ValueError:
        return ServiceState()
    return state if state.fold == FOLD else ServiceState()


def _name(service: str) -> str:
    return f"{service}/state"
