"""Go on with releases that wait for what has come: a window that opened, a build that was published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache, partial

from nightferry.entities.barring.hold import EVERYTHING
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.waiting import Waiting
from nightferry.errors import NightferryError
from nightferry.steps.admission.awaits_approval import approved_by
from nightferry.steps.record.state import read_state
from nightferry.steps.watching.doors import Doors
from nightferry.steps.watching.due_to_resume import Resume, due_to_resume
from nightferry.steps.watching.start_due import RELEASE_DAG

A_MINUTE = 100
"""So many services' records are read a minute; of more, each has its turn."""
MOST_TRIES = 20


def resume_waiting(services: Sequence[ServiceSpec], doors: Doors) -> tuple[list[str], list[NightferryError]]:
    """Start the runs that go on with releases whose wait is over; the runs, and what could not be looked at.

    Only the records of services that can wait for something which ends by itself are read.
    """
    started, faults = [], []
    everywhere = cache(lambda: read_state(doors.ledger, EVERYTHING).holds)
    for service in _turn([one for one in services if _can_wait(one)], doors.clock.now()):
        try:
            state = read_state(doors.ledger, service.service)
            holds = (*state.holds, *everywhere()) if state.waiting else ()
            wanted = due_to_resume(
                service, state, doors.clock.now(), holds, approved=partial(approved_by, doors.ledger)
            )
            run = _start(service, wanted, state.waiting, doors) if wanted and state.waiting else ""
        except NightferryError as fault:
            faults.append(fault)
            continue
        started += [run] if run else []
    return started, faults


def _can_wait(service: ServiceSpec) -> bool:
    """Whether something can keep its releases that ends by itself: a window; or a hold, once people or the schedule go
    on with one."""
    asks = any(environment.approvals for environment in service.environments)
    return bool(service.calendar or asks or service.triggers.any)


def _turn(services: list[ServiceSpec], now: dt.datetime) -> list[ServiceSpec]:
    groups = -(-len(services) // A_MINUTE) or 1
    return services[int(now.timestamp() // 60) % groups :: groups]


def _start(service: ServiceSpec, wanted: Resume, waiting: Waiting, doors: Doors) -> str:
    """Start it; again, with growing pauses, where such a run ended and the release waits as before."""
    dag, now = RELEASE_DAG + service.service, doors.clock.now()
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
