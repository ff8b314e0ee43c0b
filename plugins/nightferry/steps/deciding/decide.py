"""Decide: release or not, why, and with what. The only place that looks up what is newest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightferry.clients.clock import CLOCK_ERROR, Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.clients.doors.source_repository import SourceRepository
from nightferry.entities.approvals.people import People
from nightferry.entities.barring.hold import EVERYTHING
from nightferry.entities.decision import Decision, ReleaseRequest, trigger_of
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.trigger import Cause
from nightferry.errors import Permanent
from nightferry.steps.app.pin_app import AppPinner
from nightferry.steps.deciding.go_on import go_on, going_on
from nightferry.steps.deciding.name_people import name_people
from nightferry.steps.deciding.pin import Pinned, Platform, before_of, choice_of, pin
from nightferry.steps.deciding.rules import RULES, Question, Word
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.state import decision_at, decision_of, read_state, state_of
from nightferry.steps.services.load_calendars import calendar_of

NOBODY = People()


@dataclass(frozen=True)
class Weighed:
    """What every rule says about one question."""

    decision: Decision
    """What the first rule that has a word decides."""
    words: tuple[tuple[str, Word | None], ...]
    """Each rule's name, in order, and its word."""
    sentence: str
    """Why, for people: of a release that goes on it is not the decision's own."""


def decide(
    spec: ServiceSpec,
    request: ReleaseRequest,
    *,
    key: str,
    actor: str,
    models: ModelRepository,
    source: SourceRepository,
    ledger: LedgerStore,
    base_image: str,
    recipe: str,
    clock: Clock,
    apps: AppPinner | None = None,
    asked: dt.datetime | None = None,
    slot: dt.datetime | None = None,
    way: str = "",
    cause: Cause | None = None,
    people: People = NOBODY,
) -> Decision:
    """Pin the model, the source and the service file, weigh them against the release in use, and write the decision
    down.

    Done again with the same key it returns the decision that was made. A failure to pin is written down as well, and
    the next try may decide anew.

    Args:
        spec: the service, its settings filled in.
        request: what was asked for; unset means the newest.
        key: what is decided on, `slot:<time>` or `run:<run id>`.
        actor: who asked.
        models: the service's model repository.
        source: the app's source repository.
        ledger: where decisions are written.
        base_image: the image that the stock service's image stands on, by digest.
        recipe: sha256 of the stock service's Dockerfile and test requirements.
        clock: the time.
        apps: pins what an app of its own says about itself; needed where the service is not the stock service.
        asked: when the run was asked for. Its decision is not older, so the record is not searched further back.
        slot: the moment of the schedule that asks; None where a person does.
        way: by what way it was asked; it is written down.
        cause: what asked, where no person did and no slot of the schedule.
        people: who is who, for those who have to approve.

    A request to go on with a release that waits returns that release's own decision, `continued`, where it still waits.

    Raises:
        Permanent: (release_unknown, people_invalid, model_…, source_…, app_…, image_build_failed,
            source_repository_denied, storage_denied, ledger_broken, ledger_missing)
        Temporary: (storage_unavailable, source_repository_unavailable, builder_unavailable)
    """
    since = asked or slot
    chain = ledgers.Chain(ledger, spec.service)
    made = _made(chain, key, since)
    if made:
        return Decision.model_validate(made.data)
    if request.resume:
        return go_on(spec, request.resume, key=key, actor=actor, cause=cause, way=way, ledger=ledger, clock=clock)
    platform = Platform(base_image, recipe, apps)
    before = before_of(chain)
    try:
        pinned = pin(spec, request, models, source, platform, clock, before)
        named = name_people(spec, pinned, people)
    except Permanent as error:
        _write_failure(spec, request, key, actor, error, ledger, clock, cause)
        raise

    def make(chain: ledgers.Chain) -> LedgerEntry | dict[str, Any]:
        # Someone else may have written meanwhile: this very decision, or one that took the number.
        made = _made(chain, key, since)
        if made:
            return made
        weighed = weigh(spec, request, pinned, chain, clock, key=key, actor=actor, slot=slot, cause=cause, named=named)
        return entry_of(weighed, key, actor, cause=cause, way=way)

    return Decision.model_validate(ledgers.append_with(ledger, clock, spec.service, make).data)


def entry_of(weighed: Weighed, key: str, actor: str, *, cause: Cause | None = None, way: str = "") -> dict[str, Any]:
    """What is written down of what was weighed: a decision, or that a release goes on which waited."""
    if weighed.decision.continued:
        return going_on(weighed.decision, key, actor, weighed.sentence, cause=cause, way=way)
    decision = weighed.decision.model_copy(update={"way": way})
    return {
        "kind": Kind.DECISION,
        "key": key,
        "release": decision.release,
        "actor": actor,
        "reason": decision.reason,
        "sentence": decision.sentence,
        "data": decision.to_json(),
    }


def weigh(
    spec: ServiceSpec,
    request: ReleaseRequest,
    pinned: Pinned,
    chain: ledgers.Chain,
    clock: Clock,
    *,
    key: str,
    actor: str,
    slot: dt.datetime | None = None,
    cause: Cause | None = None,
    named: Mapping[str, Any] | None = None,
) -> Weighed:
    """Ask every rule; nothing is written. Raises as `state_of`."""
    state = state_of(chain)
    before = decision_at(chain, state.compared.get(state.in_use or ""))
    everywhere = read_state(chain.store, EVERYTHING)
    question = Question(
        spec=spec,
        request=request,
        candidate=pinned.candidate,
        state=state,
        before=before,
        image=state.images.get(state.in_use or ""),
        last=decision_at(chain, state.last_decision or None),
        now=clock.now(),
        slot=slot,
        holds=(*state.holds, *everywhere.holds),
        calendar=calendar_of(spec),
        passed_over=pinned.passed_over,
        waits=decision_of(chain, state, state.waiting.release) if state.waiting else None,
        last_end=chain.at(state.ended) if state.waiting and state.ended else None,
    )
    words = [(rule.__name__, rule(question)) for rule in RULES]
    word = _first(words)
    if word.continues and question.waits is not None:
        goes = question.waits.model_copy(update={"image": word.image, "continued": True})
        return Weighed(goes, tuple(words), word.sentence)
    today = clock.now().astimezone(spec.timezone).date()
    number = state.numbers.get(today.isoformat(), 0) + 1
    decision = Decision(
        key=key,
        service=spec.service,
        go=word.go,
        reason=word.reason,
        sentence=f"{word.sentence} {pinned.waiting}".strip(),
        actor=actor,
        trigger=trigger_of(key, cause),
        cause=cause,
        release=str(ReleaseId(spec.service, today, number)) if word.go else None,
        candidate=pinned.candidate if word.image is None or before is None else before.candidate,
        request=request,
        in_use=state.in_use,
        image=word.image,
        spec=spec.to_json(),
        choice=choice_of(pinned, spec, state) if word.go else None,
        **(named or {}),
    )
    return Weighed(decision, tuple(words), decision.sentence)


def _first(words: Sequence[tuple[str, Word | None]]) -> Word:
    return next(word for _, word in words if word)  # `unchanged`, the last one, always has one


def _made(chain: ledgers.Chain, key: str, since: dt.datetime | None) -> LedgerEntry | None:
    """The decision with this key; an entry older than the question ends the search, however long ago that was."""
    first = ledgers.utc(since - CLOCK_ERROR) if since else ""
    return chain.find(key, (lambda entry: entry.time < first) if since else None)


def _write_failure(
    spec: ServiceSpec,
    request: ReleaseRequest,
    key: str,
    actor: str,
    error: Permanent,
    ledger: LedgerStore,
    clock: Clock,
    cause: Cause | None,
) -> None:
    ledgers.append(
        ledger,
        clock,
        service=spec.service,
        kind=Kind.DECISION,
        key=f"{key}/failed/{error.reason}",
        release=None,
        actor=actor,
        reason=error.reason,
        sentence=error.sentence,
        data={
            "key": key,
            "service": spec.service,
            "go": False,
            "trigger": trigger_of(key, cause),
            "request": request.to_json(),
        },
    )
