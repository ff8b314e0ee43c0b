"""What becomes of the coming nights of a service: its schedule, its calendar, its holds and its exceptions together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

from nightferry.entities.barring.hold import Hold
from nightferry.entities.calendar.barring import barring
from nightferry.entities.calendar.freeze_calendar import Calendar
from nightferry.entities.calendar.local_time import change_of
from nightferry.entities.calendar.nights import nights
from nightferry.entities.calendar.window import Window
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.exception import FreezeException

Comes = Literal["releases", "waits", "dropped", "held"]


@dataclass(frozen=True)
class Night:
    """One coming slot of the schedule."""

    moment: dt.datetime
    """UTC."""
    zone: ZoneInfo
    comes: Comes
    """What becomes of what is new by then: it is released, it is built and waits, or nothing is released."""
    clocks: dt.timedelta
    """By how much the clocks change on this local day."""
    windows: tuple[Window, ...]
    """Those that stand then, whether or not an exception lifts them."""
    holds: tuple[Hold, ...]
    excepted: bool
    """Whether an exception lifts the windows."""
    opens: dt.datetime | None
    """When the calendar opens, where a window bars."""

    @property
    def local(self) -> dt.datetime:
        """The moment in the service's zone."""
        return self.moment.astimezone(self.zone)

    def to_json(self) -> dict[str, Any]:
        """The night for programs."""
        return {
            "time": f"{self.moment:%Y-%m-%dT%H:%M:%SZ}",
            "local": self.local.isoformat(),
            "comes": self.comes,
            "clocks_change_minutes": int(self.clocks.total_seconds() // 60),
            "windows": [window.to_json() for window in self.windows],
            "holds": [hold.number for hold in self.holds],
            "excepted": self.excepted,
            "opens": f"{self.opens:%Y-%m-%dT%H:%M:%SZ}" if self.opens else None,
        }


def outlook(
    spec: ServiceSpec,
    calendar: Calendar | None,
    begin: dt.datetime,
    end: dt.datetime,
    *,
    holds: Sequence[Hold] = (),
    exceptions: Sequence[FreezeException] = (),
) -> Iterator[Night]:
    """The nights after `begin` and before `end`, in order."""
    for moment in nights(spec, begin, end):
        windows = calendar.at(moment) if calendar else []
        barred = barring(calendar, moment, exceptions) if calendar and windows else []
        held = tuple(hold for hold in holds if hold.stands(moment))
        yield Night(
            moment=moment,
            zone=spec.timezone,
            comes=_comes(held, barred),
            clocks=change_of(moment.astimezone(spec.timezone).date(), spec.timezone),
            windows=tuple(windows),
            holds=held,
            excepted=bool(windows) and not barred,
            opens=calendar.opens(moment) if calendar and barred else None,
        )


def _comes(held: Sequence[Hold], barred: Sequence[Window]) -> Comes:
    if held:
        return "held"
    if any(window.meets == "drop" for window in barred):
        return "dropped"
    return "waits" if barred else "releases"
