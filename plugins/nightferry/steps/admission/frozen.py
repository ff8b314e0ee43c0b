"""`frozen`: a window of the service's calendar stands, so the release waits until it opens, or is dropped."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from nightferry.entities.calendar.barring import barring
from nightferry.entities.calendar.words import said
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.service_state import ServiceState
from nightferry.steps.admission.admission import Admission, Stay
from nightferry.steps.record.ledger import utc
from nightferry.steps.services.load_calendars import Read, calendar_of


def frozen(admission: Admission, read: Read = calendar_of) -> Stay | None:
    """Keep a release from its next environment while a window bars it.

    Args:
        admission: the release and its environment.
        read: where the service's calendar comes from.

    Raises:
        Permanent: (service_file_invalid) the calendar is missing or wrong, so nobody knows whether it may go on.
    """
    calendar = read(admission.spec)
    if calendar is None:
        return None
    now, since = admission.now, None if admission.taken_up else _under_way_since(admission.entries)
    windows = barring(calendar, now, admission.state.exceptions, since)
    if not windows:
        return None
    opens = calendar.opens(now)
    drop = any(window.meets == "drop" for window in windows)
    then = "It is dropped." if drop else "It goes on by itself then."
    return Stay(
        Reason.FROZEN,
        f"{said(windows, opens, admission.spec.timezone)} {then}",
        until=utc(opens) if opens and not drop else None,
        facts={"calendar": calendar.name, "windows": [window.to_json() for window in windows]},
        drop=drop,
    )


def has_opened(spec: ServiceSpec, state: ServiceState, now: dt.datetime, read: Read = calendar_of) -> bool:
    """Whether a release that waits as `frozen` may go on: no window stands, or an exception does. Whoever was down when
    the window ended asks this afterwards, and gets the same answer. Raises as `frozen`."""
    calendar = read(spec)
    return calendar is None or not barring(calendar, now, state.exceptions)


def _under_way_since(entries: Sequence[LedgerEntry]) -> dt.datetime | None:
    """When the release was last set going: decided, or sent on after it had waited. None where no entry says it."""
    times = [
        entry.time
        for entry in entries
        if entry.kind == Kind.DECISION or (entry.kind == Kind.TRIGGER and entry.reason == Reason.CONTINUED)
    ]
    return dt.datetime.fromisoformat(max(times)) if times else None
