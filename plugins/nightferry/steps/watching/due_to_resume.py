"""Whether a release that waits should go on: what keeps it has ended, or it may be released as soon as it is built."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nightferry.entities.barring.hold import Hold
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.triggers import RELEASE
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.service_state import ServiceState
from nightferry.entities.state.waiting import Waiting
from nightferry.entities.trigger import Cause
from nightferry.steps.admission.frozen import has_opened

LATE = dt.timedelta(minutes=10)
"""After the time for answers is over, the run that asked ends the release; so long after, a look has it ended."""
HasOpened = Callable[[ServiceSpec, ServiceState, dt.datetime], bool]
Approved = Callable[[Waiting], tuple[str, ...]]


@dataclass(frozen=True)
class Resume:
    """A run that goes on with a release."""

    run: str
    """The run's id; the same wait has the same one, whoever sees its end."""
    release: str
    cause: Cause


def due_to_resume(
    service: ServiceSpec,
    state: ServiceState,
    now: dt.datetime,
    holds: Sequence[Hold] = (),
    opened: HasOpened = has_opened,
    approved: Approved = lambda waiting: (),
) -> Resume | None:
    """The run that goes on with the release that waits; None where it has to wait on, or nothing waits.

    It is looked whether a window or a hold stands now, not when its end was said to be: whoever was down at that minute
    finds the same afterwards, and an exception, or a calendar that was shortened, is found too.

    Args:
        service: its service file as it is now.
        state: what the record says.
        now: the time.
        holds: those of the service and those of everything.
        opened: whether the service's calendar is open.
        approved: who approved what waits. Their own run goes on with it; this is for when that run was lost.

    Raises:
        Permanent: (service_file_invalid) the calendar is missing or wrong.
    """
    waiting = state.waiting
    if waiting is None or state.superseded:
        return None
    held = any(hold.stands(now) for hold in holds)
    if waiting.reason == Reason.FROZEN and opened(service, state, now):
        cause = Cause(kind="window", detail=f"the calendar is open before {waiting.environment}")
    elif waiting.reason == Reason.HELD and not held:
        cause = Cause(kind="window", detail=f"nothing holds it before {waiting.environment} any more")
    elif waiting.reason == Reason.PUBLISHED and service.triggers.build == RELEASE and not held:
        cause = Cause(kind="build", detail="what is published is released")
    elif waiting.reason == Reason.AWAITS_APPROVAL and (by := ", ".join(approved(waiting))):
        cause = Cause(kind="approval", by=by, detail=f"{by} approved it for {waiting.environment}")
    elif waiting.reason == Reason.AWAITS_APPROVAL and _long_over(waiting, now):
        cause = Cause(kind="approval", detail="the time for approving it is over")
    else:
        return None
    name = f"resume-{waiting.release}-{waiting.environment}-{cause.kind}-{waiting.sequence}"
    return Resume(name, waiting.release, cause)


def _long_over(waiting: Waiting, now: dt.datetime) -> bool:
    return bool(waiting.until) and now >= dt.datetime.fromisoformat(str(waiting.until)) + LATE
