"""Which run sends a release on that waited for its calendar to open: found by looking, whenever somebody looks."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.service_state import ServiceState
from nightferry.entities.trigger import Cause
from nightferry.steps.admission.frozen import has_opened
from nightferry.steps.services.load_calendars import Read, calendar_of


@dataclass(frozen=True)
class GoOn:
    """A run of the service's DAG to be started; started twice, it is one, since its id is the same."""

    run_id: str
    conf: dict[str, Any]


def opened(spec: ServiceSpec, state: ServiceState, now: dt.datetime, read: Read = calendar_of) -> GoOn | None:
    """The run to start now, if the service has a release that waits as `frozen` and no window bars it any more: the
    calendar has opened, however long ago that was, or an exception stands. Raises as `frozen`."""
    waiting = state.waiting
    if waiting is None or waiting.reason != Reason.FROZEN or not has_opened(spec, state, now, read):
        return None
    cause = Cause(kind="window", detail=f"the calendar {spec.calendar}")
    return GoOn(
        run_id=f"resume-{waiting.release}-{waiting.environment}-window-{waiting.sequence}",
        conf={"resume": waiting.release, "trigger": cause.to_json()},
    )
