"""Write drift on the record: each difference once, for as long as it is there; that it is gone; what was put back."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.fact_key import FactKey, of_environment
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.state.drift import DRIFT_GONE, HEALED, KEPT_DRIFTS, Drift, OpenDrift, drift_key
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import read_state, state_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DriftPlace:
    """Where drift is."""

    service: str
    environment: str
    namespace: str
    release: str
    """What users get there, by the record."""
    actor: str
    """Who looked."""


def record_drift(
    ledger: LedgerStore, clock: Clock, place: DriftPlace, drifts: Sequence[Drift], unseen: Collection[str]
) -> list[OpenDrift]:
    """Write what is new, and what of what was written before is gone; the differences that are open then.

    Any number of looks at once write each of them once. Where users get another release by now, nothing is written.

    Args:
        ledger: where to.
        clock: for the time.
        place: where it was looked.
        drifts: what was found.
        unseen: of `Drift.what`, what could not be seen: whether that is gone is not known.

    Raises as `append_with`.
    """
    state = read_state(ledger, place.service)
    before = state.drifts.get(place.environment, ())
    found = {drift.cause: drift for drift in drifts}
    for one in before:
        if one.cause not in found and one.what not in unseen:
            _gone(ledger, clock, place, one)
    for drift in found.values():
        if not any(one.cause == drift.cause for one in before):
            _appeared(ledger, clock, place, drift)
    return [*read_state(ledger, place.service).drifts.get(place.environment, ())]


def record_healed(ledger: LedgerStore, clock: Clock, place: DriftPlace, healed: Sequence[OpenDrift]) -> None:
    """Write which differences were put back, once. Raises as `append_with`."""
    if not healed:
        return
    ends = [one.number for one in healed]
    back = ", ".join(one.what for one in healed)
    key = FactKey(place.release, of_environment(place.environment, HEALED), attempt=ends[-1])
    sentence = f"{place.environment} is as the record says again: {back} put back."
    data = {"ends": ends, "put_back": [one.sentence for one in healed]}

    def make(chain: Chain) -> LedgerEntry | dict[str, Any]:
        still = [one.number for one in state_of(chain).drifts.get(place.environment, ())]
        return _facts(place, key, Reason.HEALED, sentence, data) if set(ends) & {*still} else chain.at(ends[-1])

    ledgers.append_with(ledger, clock, place.service, make)


def _appeared(ledger: LedgerStore, clock: Clock, place: DriftPlace, drift: Drift) -> None:
    def make(chain: Chain) -> LedgerEntry | dict[str, Any]:
        state = state_of(chain)
        now, traffic = state.drifts.get(place.environment, ()), state.traffic.get(place.environment)
        known = next((one for one in now if one.cause == drift.cause), None)
        if known:
            return chain.at(known.number)
        if len(now) >= KEPT_DRIFTS or traffic is None or traffic.release != place.release:
            log.warning("Not written down: %s", drift.sentence)
            return chain.at(state.sequence)
        key = drift_key(place.release, place.environment, drift.cause, state.sequence)
        return _facts(place, key, Reason.DRIFTED, drift.sentence, {**drift.to_json(), "cause": drift.cause})

    ledgers.append_with(ledger, clock, place.service, make)


def _gone(ledger: LedgerStore, clock: Clock, place: DriftPlace, one: OpenDrift) -> None:
    key = FactKey(place.release, of_environment(place.environment, DRIFT_GONE), one.cause, one.number)
    sentence = f"{one.what} in {place.environment} is as the record says again."

    def make(chain: Chain) -> LedgerEntry | dict[str, Any]:
        still = [each.number for each in state_of(chain).drifts.get(place.environment, ())]
        facts = _facts(place, key, Reason.DRIFT_GONE, sentence, {"what": one.what, "ends": [one.number]})
        return facts if one.number in still else chain.at(one.number)

    ledgers.append_with(ledger, clock, place.service, make)


def _facts(place: DriftPlace, key: FactKey, reason: Reason, sentence: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": Kind.DRIFT,
        "key": str(key),
        "release": place.release,
        "actor": place.actor,
        "reason": reason,
        "sentence": sentence,
        "data": {"step": key.step, "environment": place.environment, "namespace": place.namespace, **data},
    }
