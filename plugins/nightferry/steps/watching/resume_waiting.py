"""Go on with releases that wait for what has come: a window that opened, a build that was published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache, partial

from nightferry.entities.approvals.runs import dag_of, run_of
from nightferry.entities.barring.hold import EVERYTHING
from nightferry.entities.dag_names import RELEASE
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.service_state import ServiceState
from nightferry.entities.state.waiting import Waiting
from nightferry.errors import NightferryError
from nightferry.steps.record.asked_people import approved_by
from nightferry.steps.record.state import read_state
from nightferry.steps.watching.doors import Doors
from nightferry.steps.watching.due_to_resume import Resume, due_to_resume

A_MINUTE = 100
"""So many services' records are read a minute; of more, each has its turn."""
QUARTER = 15
"""Each so many minutes the others are looked at: what they wait for was taken out of the service file meanwhile."""
MOST_TRIES = 20


def resume_waiting(services: Sequence[ServiceSpec], doors: Doors) -> tuple[list[str], list[NightferryError]]:
    """Start the runs that go on with releases whose wait is over; the runs, and what could not be looked at.

    Each minute only the records of services that can wait for something which ends by itself are read.
    """
    started, faults = [], []
    everywhere = cache(lambda: read_state(doors.ledger, EVERYTHING).holds)
    can_wait = [one for one in services if _can_wait(one)]
    others = [one for one in services if not _can_wait(one)]
    now = doors.clock.now()
    for service in [*_turn(can_wait, now), *_turn(others, now, QUARTER)]:
        try:
            state = read_state(doors.ledger, service.service)
            holds = (*state.holds, *everywhere()) if state.waiting else ()
            wanted = due_to_resume(
                service, state, doors.clock.now(), holds, approved=partial(approved_by, doors.ledger)
            )
            if wanted and state.waiting:
                run = _start(service, wanted, state.waiting, doors)
            else:
                run = _ask(service, state, doors)
        except NightferryError as fault:
            faults.append(fault)
            continue
        started += [run] if run else []
    return started, faults


def _can_wait(service: ServiceSpec) -> bool:
    """Whether something can keep its releases that ends by itself: a window; or a hold, once people or the schedule go
    on with one."""
    return bool(service.calendar or _asks(service) or service.triggers.any)


def _asks(service: ServiceSpec) -> bool:
    return any(environment.approvals for environment in service.environments)


def _turn(services: list[ServiceSpec], now: dt.datetime, least: int = 1) -> list[ServiceSpec]:
    groups = max(-(-len(services) // A_MINUTE), least)
    return services[int(now.timestamp() // 60) % groups :: groups]


def _ask(service: ServiceSpec, state: ServiceState, doors: Doors) -> str:
    """Start the run that asks people, where the task that had to start it was killed before it did; the run."""
    waiting = state.waiting
    if waiting is None or waiting.reason != Reason.AWAITS_APPROVAL or state.superseded or not _asks(service):
        return ""
    if waiting.until is None or dt.datetime.fromisoformat(waiting.until) <= doors.clock.now():
        return ""
    dag, run = dag_of(service.service), run_of(waiting.release, waiting.environment, waiting.image)
    if doors.runs.known(dag, run):
        return ""
    conf = {"release": waiting.release, "environment": waiting.environment}
    return run if doors.runs.start(dag, run, conf) else ""


def _start(service: ServiceSpec, wanted: Resume, waiting: Waiting, doors: Doors) -> str:
    """Start it; again, with growing pauses, where such a run ended and the release waits as before."""
    dag, now = RELEASE + service.service, doors.clock.now()
    end = waiting.until if waiting.until and wanted.cause.kind == "window" else waiting.since
    since = min(dt.datetime.fromisoformat(end), now)
    for number in range(1, MOST_TRIES + 1):
        run = wanted.run if number == 1 else f"{wanted.run}-{number}"
        if not doors.runs.known(dag, run):
            if number > 1 and now - since < dt.timedelta(minutes=2**number):
                return ""
            conf = {"resume": wanted.release, "trigger": wanted.cause.to_json()}
            return run if doors.runs.start(dag, run, conf) else ""
        if doors.runs.under_way(dag, run):
            return ""
    return ""
