"""How old the newest rehearsals are, and what they found: lines for `status` and `show`."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from nightferry.cli.output import local_time
from nightferry.clients import connect
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.barring.hold import EVERYTHING
from nightferry.entities.state.rehearsal import Outcome, Rehearsal
from nightferry.errors import NightferryError
from nightferry.settings import Settings
from nightferry.steps.record.state import read_state

STALE = dt.timedelta(hours=36)
"""A night without a rehearsal: it is said that this is old."""
_SAID = {
    Outcome.RIGHT: "would start and answer",
    Outcome.WRONG: "would not start, or not answer rightly",
    Outcome.NOT_PULLED: "its image cannot be pulled",
    Outcome.NOT_SEEN: "could not be looked at",
    Outcome.NOT_TRIED: "was not tried",
}


def rehearsals(settings: Settings) -> list[tuple[str, Rehearsal | None]]:
    """Every service that has a release to go back to, with its newest rehearsal; nothing of a record that does not
    answer."""
    try:
        store = connect.ledger_store(settings)
        states = {name: _state(store, name) for name in store.services() if name != EVERYTHING}
    except NightferryError:
        return []
    return [(name, state.rehearsal) for name, state in states.items() if state is not None and state.good]


def _state(store: LedgerStore, service: str) -> Any:
    try:
        return read_state(store, service)
    except NightferryError:  # `ledger verify` says what is wrong with it
        return None


def rehearsal_row(service: str, found: Rehearsal | None, now: dt.datetime) -> tuple[str, ...]:
    """A row of `status`: the service, when, and what."""
    if found is None:
        return service, "never", "not known whether its releases would start again: nightferry rehearse " + service
    old = " (old)" if now - dt.datetime.fromisoformat(found.time) > STALE else ""
    return service, f"{age(found.time, now)} ago{old}", found.sentence


def rehearsal_line(found: Rehearsal | None, release: str, zone: ZoneInfo, now: dt.datetime) -> str:
    """What is known of one release, for `show`; empty where it was none of those tried."""
    if found is None or release not in found.outcomes:
        return ""
    outcome = found.outcomes[release]
    said = _SAID[Outcome(outcome)] if outcome in set(Outcome) else outcome
    return f"{local_time(found.time, zone)}, {age(found.time, now)} ago: {said}"


def rehearsal_json(found: Rehearsal | None) -> dict[str, Any] | None:
    """For programs."""
    return found.to_json() if found else None


def age(time: str, now: dt.datetime) -> str:
    """`3 d`, `8 h`, `5 min`, `12 s`."""
    passed = max(int((now - dt.datetime.fromisoformat(time)).total_seconds()), 0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if passed >= length:
            return f"{passed // length} {unit}"
    return f"{passed} s"
