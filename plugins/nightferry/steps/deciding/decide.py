"""Decide: release or not, why, and with what. The only place that looks up what is newest."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from nightferry.clients.clock import CLOCK_ERROR, Clock
from nightferry.clients.ledger_store import LedgerStore
from nightferry.clients.model_repository import ModelRepository
from nightferry.clients.source_repository import SourceRepository
from nightferry.entities.candidate import Candidate
from nightferry.entities.decision import Decision, ReleaseRequest
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent
from nightferry.steps.deciding.newest_model import newest_model
from nightferry.steps.deciding.weigh import weigh
from nightferry.steps.record import ledger as ledgers

NIGHT = "night:"
"""Begins the key of a scheduled decision; the local date follows."""


@dataclass(frozen=True)
class _Past:
    """What the record says about the time before."""

    in_use: str | None = None
    """The release in use in production."""
    candidate: Candidate | None = None
    """What that one is made of."""
    number: int = 0
    """The number of the day's last release; 0 for none."""


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
    asked: dt.datetime | None = None,
) -> Decision:
    """Pin the model and the source, weigh them against the release in use, and write the decision down.

    Done again with the same key it returns the decision that was made. A failure to pin is written down as well, and
    the next try may decide anew.

    Args:
        spec: the service.
        request: what was asked for; unset means the newest.
        key: what is decided on, `night:<local date>` or `run:<run id>`.
        actor: who asked.
        models: the service's model repository.
        source: the app's source repository.
        ledger: where decisions are written.
        base_image: the image that the service's image stands on, by digest.
        recipe: sha256 of the Dockerfile and the test requirements.
        clock: the time.
        asked: when the run was asked for. Its decision is not older, so the record is not searched further back.

    Raises:
        Permanent: (model_…, source_…, storage_denied, ledger_broken)
        Temporary: (storage_unavailable, source_repository_unavailable)
    """
    chain = ledgers.Chain(ledger, spec.service)
    made = _made(chain, key, asked)
    if made:
        return made
    try:
        candidate, waiting = _pin(spec, request, models, source, base_image, recipe, clock)
    except Permanent as error:
        _write_failure(spec, request, key, actor, error, ledger, clock)
        raise
    while True:
        decision = _weighed(spec, request, key, actor, candidate, waiting, chain, clock)
        entry = ledgers.append_to(
            ledger,
            clock,
            chain,
            kind=Kind.DECISION,
            key=key,
            release=decision.release,
            actor=actor,
            reason=decision.reason,
            sentence=decision.sentence,
            data=decision.to_json(),
        )
        if entry:
            return decision
        # Someone else wrote first: it may be this very decision, or one that took the number.
        chain = ledgers.Chain(ledger, spec.service)
        made = _made(chain, key, asked)
        if made:
            return made


def _made(chain: ledgers.Chain, key: str, asked: dt.datetime | None) -> Decision | None:
    entry = chain.find(key, _before(key, asked))
    return Decision.model_validate(entry.data) if entry else None


def _before(key: str, asked: dt.datetime | None) -> ledgers.Stop | None:
    """Ends a search where entries are older than what is decided on, however long ago that was."""
    if key.startswith(NIGHT):
        first = _surely_before(dt.date.fromisoformat(key.removeprefix(NIGHT)))
    elif asked:
        first = ledgers.utc(asked - CLOCK_ERROR)
    else:
        return None
    return lambda entry: entry.time < first


def _surely_before(day: dt.date) -> str:
    """A time before the day begins in any zone: none is further than 14 hours from UTC."""
    return ledgers.utc(dt.datetime.combine(day, dt.time(), dt.UTC) - dt.timedelta(days=1))


def _pin(
    spec: ServiceSpec,
    request: ReleaseRequest,
    models: ModelRepository,
    source: SourceRepository,
    base_image: str,
    recipe: str,
    clock: Clock,
) -> tuple[Candidate, str]:
    newest = None if request.model else newest_model(models, spec.model.repository, clock.now())
    model, manifest = models.pin(newest.version if newest else str(request.model))
    if manifest.service != spec.service:
        raise Permanent(
            Reason.MODEL_MANIFEST_INVALID,
            f"Model {model.version} in {spec.model.repository} says in model.json that it is for the service "
            f"{manifest.service}, not {spec.service}; publish it where it belongs.",
        )
    pinned = source.pin(request.commit or spec.source.ref, spec.source.path, spec.source.tests)
    candidate = Candidate(service=spec.service, model=model, source=pinned, base_image=base_image, recipe=recipe)
    return candidate, newest.waiting if newest else ""


def _weighed(
    spec: ServiceSpec,
    request: ReleaseRequest,
    key: str,
    actor: str,
    candidate: Candidate,
    waiting: str,
    chain: ledgers.Chain,
    clock: Clock,
) -> Decision:
    today = clock.now().astimezone(spec.timezone).date()
    past = _past(chain, today)
    reason, sentence = weigh(candidate, past.candidate, past.in_use, force=request.force)
    go = reason is not Reason.UNCHANGED
    return Decision(
        key=key,
        service=spec.service,
        go=go,
        reason=reason,
        sentence=f"{sentence} {waiting}".strip(),
        actor=actor,
        release=str(ReleaseId(spec.service, today, past.number + 1)) if go else None,
        candidate=candidate,
        request=request,
        in_use=past.in_use,
    )


def _past(chain: ledgers.Chain, today: dt.date) -> _Past:
    in_use: tuple[str | None, Candidate] | None = None
    number = 0
    since = _surely_before(today)
    for entry in chain:
        if in_use and (number or entry.time < since):
            break
        in_use = in_use or _in_use(entry)
        # Numbers grow from decision to decision, so the newest of the day has the last one.
        if entry.kind is Kind.DECISION and entry.release and not number:
            release = ReleaseId.parse(entry.release)
            number = release.number if release.date == today else 0
    release_in_use, candidate = in_use or (None, None)
    return _Past(release_in_use, candidate, number)


def _in_use(entry: LedgerEntry) -> tuple[str | None, Candidate] | None:
    """The release in use, where an entry tells it: one that ended well, or a decision that nothing had changed."""
    if entry.kind is Kind.RELEASE and entry.reason is Reason.RELEASED:
        return entry.release, Candidate.model_validate(entry.data["candidate"])
    if entry.kind is Kind.DECISION and entry.reason is Reason.UNCHANGED:
        unchanged = Decision.model_validate(entry.data)
        return unchanged.in_use, unchanged.candidate
    return None


def _write_failure(
    spec: ServiceSpec,
    request: ReleaseRequest,
    key: str,
    actor: str,
    error: Permanent,
    ledger: LedgerStore,
    clock: Clock,
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
        data={"key": key, "service": spec.service, "go": False, "request": request.to_json()},
    )
