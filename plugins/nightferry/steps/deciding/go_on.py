"""Go on with a release that waits: its own decision counts, as it was made, and nothing is looked up again."""

from __future__ import annotations

from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.barring.quarantine import Parts
from nightferry.entities.decision import Decision, trigger_of
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.service_state import ServiceState
from nightferry.entities.trigger import Cause
from nightferry.steps.record.asked_people import still_asked
from nightferry.steps.record.history import decision_in, release_entries
from nightferry.steps.record.ledger import Chain, append_with
from nightferry.steps.record.state import state_of


def go_on(
    spec: ServiceSpec,
    release: str,
    *,
    key: str,
    actor: str,
    cause: Cause | None,
    way: str,
    ledger: LedgerStore,
    clock: Clock,
) -> Decision:
    """Go on with the release if it still waits, and write that down; else say why not, and write that.

    Two that ask for one release at once go on with it once. Done again with the same key it says what it said.

    Raises:
        Permanent: (release_unknown, storage_denied, ledger_…)   Temporary: (storage_unavailable, ledger_busy)
    """
    entries = release_entries(ledger, release)
    decided = decision_in(entries)

    def make(chain: Chain) -> LedgerEntry | dict[str, Any]:
        made = chain.find(key)
        if made:
            return made
        state = state_of(chain)
        waiting, no = state.waiting, _refused(spec, release, decided, state)
        if no is None and waiting and waiting.reason == Reason.AWAITS_APPROVAL:
            # While it went on, its questions would end, and answers to them would not count.
            no = (waiting.reason, waiting.sentence) if still_asked(ledger, waiting, clock.now()) else None
        if no or waiting is None:
            reason, sentence = no or (Reason.NOT_WAITING, "")
            return _declined(decided, key, actor, reason, sentence, cause=cause, way=way)
        goes = decided.model_copy(update={"image": waiting.image, "continued": True})
        return going_on(goes, key, actor, _why(release, cause, actor), cause=cause, way=way)

    return Decision.model_validate(append_with(ledger, clock, spec.service, make).data)


def going_on(
    decision: Decision, key: str, actor: str, sentence: str, *, cause: Cause | None, way: str
) -> dict[str, Any]:
    """The entry that says that a release goes on; its data is the decision that the run carries out."""
    return {
        "kind": Kind.TRIGGER,
        "key": key,
        "release": decision.release,
        "actor": actor,
        "reason": Reason.CONTINUED,
        "sentence": sentence,
        "data": decision.to_json() | {"by": _asked(key, actor, cause, way)},
    }


def _declined(
    decided: Decision, key: str, actor: str, reason: str, sentence: str, *, cause: Cause | None, way: str
) -> dict[str, Any]:
    no = decided.model_copy(
        update={"go": False, "release": None, "reason": reason, "sentence": sentence, "key": key, "choice": None}
    )
    asked = {"by": _asked(key, actor, cause, way), "asked_for": decided.release}
    return {
        "kind": Kind.TRIGGER,
        "key": key,
        "release": None,
        "actor": actor,
        "reason": reason,
        "sentence": sentence,
        "data": no.to_json() | asked,
    }


def _asked(key: str, actor: str, cause: Cause | None, way: str) -> dict[str, Any]:
    """Who asked to go on, and how: the decision itself says who asked for the release."""
    said = {"actor": actor, "trigger": trigger_of(key, cause), "way": way}
    return said | ({"cause": cause.to_json()} if cause else {})


def _refused(spec: ServiceSpec, release: str, decided: Decision, state: ServiceState) -> tuple[str, str] | None:
    waiting = state.waiting
    if waiting is None or waiting.release != release:
        newer = f" {waiting.release} waits." if waiting else ""
        said = f"{release} does not wait any more: it went on, ended, or a newer one took its place.{newer}"
        return Reason.NOT_WAITING, said
    if state.superseded:
        return Reason.NOT_WAITING, f"{release} does not go on: users get what was decided after it."
    mine = Parts.of(decided.candidate, decided.service_spec)
    for one in state.quarantines:
        if one.stands(spec) and one.parts.among(mine):
            lift = f"nightferry quarantine lift {spec.service} {one.number} --reason …"
            said = f"{release} does not go on: {one.words} is quarantined since {one.since}. To lift that: {lift}"
            return Reason.QUARANTINED, said
    return None


def _why(release: str, cause: Cause | None, actor: str) -> str:
    said = {
        "approval": "it was approved" if cause and cause.by else "people were asked",
        "window": "its window is open",
        "build": "it was published",
    }.get(cause.kind if cause else "")
    detail = f": {cause.detail.rstrip('.')}" if cause and cause.detail else ""
    return f"{release} goes on, since {said or f'{actor} asked for it'}{detail}."
