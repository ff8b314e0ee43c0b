"""Start the run that decides about a find: one, whoever sees it, and how often."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from nightferry.entities.candidate import Candidate
from nightferry.entities.dag_names import RELEASE
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.trigger import PERSON, Cause
from nightferry.entities.watching.cursor import Open, passed_by
from nightferry.entities.watching.find import COMMIT, Due, Find
from nightferry.entities.watching.push import Push
from nightferry.masking import mask
from nightferry.steps.record.ledger import Chain, utc
from nightferry.steps.record.state import decision_at, state_of
from nightferry.steps.watching.doors import Doors
from nightferry.steps.watching.due import due

MOST_TRIES = 100
LONGEST_PAUSE = 60
"""Minutes until another run is started, where each one before ended without a decision."""


@dataclass(frozen=True)
class Answer:
    """What became of a find."""

    open: Open | None
    """What the next look has to ask about again; None: it is decided about, or nobody wants it."""
    passed: tuple[str, ...] = ()
    """Commits or versions that no cause named yet."""
    started: str = ""
    """The run that was started."""


def start_due(
    service: ServiceSpec,
    find: Find,
    doors: Doors,
    *,
    before: Open | None,
    passed: tuple[str, ...],
    new: bool,
    push: Push | None = None,
) -> Answer:
    """Start the run that decides about a find, unless that was decided, or a run that was started has yet to decide.

    Args:
        service: whose code or model it is.
        find: the newest.
        doors: the outside systems.
        before: what was left open by the look before.
        passed: commits or versions that no cause named yet.
        new: whether the look before did not see it.
        push: what a webhook said about it.

    Raises:
        Temporary: (airflow_unavailable, storage_unavailable)
        Permanent: (storage_denied, ledger_missing, ledger_broken, ledger_newer)
    """
    dag = RELEASE + service.service
    seen = passed_by(passed, find.name) if new else passed
    # Airflow is asked before the record is read: what has ended by then is on the record if it ever will be.
    waits = bool(before and before.run and doors.runs.under_way(dag, before.run))
    chain = Chain(doors.ledger, service.service)
    state = state_of(chain)
    if before and waits and before.run not in _decided(chain, state.last_decision):
        return Answer(before, seen)
    last = decision_at(chain, state.last_decision or None)
    wanted = due(service, find, last.candidate if last else None)
    if wanted is None:
        return Answer(None, _without_decided(seen, last.candidate if last else None))
    return _start(wanted, service, find, doors, chain, state.last_decision, before, seen, push)


def _start(
    wanted: Due,
    service: ServiceSpec,
    find: Find,
    doors: Doors,
    chain: Chain,
    last_decision: int,
    before: Open | None,
    seen: tuple[str, ...],
    push: Push | None,
) -> Answer:
    """Start the run, or the next of its names where a run of that name ended without deciding about this."""
    dag, now = RELEASE + service.service, doors.clock.now()
    for number in range(1, MOST_TRIES + 1):
        run = wanted.run if number == 1 else f"{wanted.run}-{number}"
        if run in _decided(chain, last_decision):
            return Answer(None, seen)
        if doors.runs.known(dag, run):
            if doors.runs.under_way(dag, run):
                return Answer(Open(run=run, not_before=before.not_before if before else None), seen)
            if run in _decided(Chain(doors.ledger, service.service), last_decision):  # it was at that very moment
                return Answer(None, seen)
            continue
        if before and number > 1 and _pauses(before, wanted.run, now):
            return Answer(before, seen)
        conf: dict[str, object] = {"trigger": _cause(service, find, seen, push).to_json()}
        new = doors.runs.start(dag, run, conf | ({"until": wanted.until} if wanted.until else {}))
        pause = dt.timedelta(minutes=min(LONGEST_PAUSE, 2 ** min(number, 10)))
        return Answer(Open(run=run, not_before=utc(now + pause)), started=run if new else "")
    return Answer(before, seen)


def _pauses(before: Open, name: str, now: dt.datetime) -> bool:
    """Whether a run about the very same ended a moment ago without a decision."""
    same = before.run == name or before.run.startswith(f"{name}-")
    return same and before.not_before is not None and now < dt.datetime.fromisoformat(before.not_before)


def _decided(chain: Chain, last_decision: int) -> set[str]:
    """The runs that decided since the newest decision, that one among them, or that wrote why they could not."""
    found = set()
    for entry in chain:
        if entry.sequence < last_decision:
            break
        asked = entry.data.get("trigger")  # who may start a release may give its run any name, the watch's too
        if entry.kind == Kind.DECISION and entry.key.startswith("run:") and asked != PERSON:
            found.add(entry.key.removeprefix("run:").partition("/failed/")[0])
    return found


def _without_decided(seen: tuple[str, ...], last: Candidate | None) -> tuple[str, ...]:
    decided = {last.source.commit, last.model.version} if last else set()
    return tuple(one for one in seen if one not in decided)


def _cause(service: ServiceSpec, find: Find, seen: tuple[str, ...], push: Push | None) -> Cause:
    pushed = list(push.passed_over) + ([push.commit] if push.commit else []) if push else []
    passed = [one for one in dict.fromkeys((*seen, *pushed)) if one != find.name]
    mine = push is not None and push.commit in (None, find.name)  # else somebody pushed after that delivery
    named: dict[str, str] = {"model": find.name, "repository": service.model.repository}
    if find.event == COMMIT:
        named = {"commit": find.name, "repository": mask(service.source.repository if service.source else "")}
    return Cause(
        kind=find.event,
        by=(push.by if push and mine else "") or find.by,
        detail=f"Delivered by {push.provider}." if push else "Found by the watch.",
        delivery=push.delivery if push else "",
        passed_over=tuple(passed[-MOST_TRIES:]),
        **named,
    )
