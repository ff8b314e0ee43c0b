"""What is said of windows that bar a release."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from nightferry.entities.calendar.window import Window


def said(windows: Sequence[Window], opens: dt.datetime | None, zone: ZoneInfo) -> str:
    """A sentence: which windows, why, and when the calendar opens, in the service's zone."""
    named = "; ".join(f"{window.name}: {window.reason.rstrip('.')}" for window in windows)
    return f"Frozen until {local(opens, zone) if opens else 'further notice'} ({named})."


def local(moment: dt.datetime, zone: ZoneInfo) -> str:
    """A moment as people of the zone read it: `Mon 2026-11-30 06:00 CET`."""
    here = moment.astimezone(zone)
    return f"{WEEKDAYS[here.weekday()]} {here:%Y-%m-%d %H:%M %Z}"


WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
"""Always in English, whatever the machine's locale is."""
