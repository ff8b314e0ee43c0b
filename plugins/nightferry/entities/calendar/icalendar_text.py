"""Nights and windows as iCalendar (RFC 5545), for people's own calendars.

Times are in UTC, so that no description of a zone has to be written, and each program shows them in its user's zone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Sequence

from nightferry.entities.calendar.outlook import Night
from nightferry.entities.calendar.window import Window
from nightferry.entities.calendar.words import local

OCTETS = 75
"""The longest line, without its end (RFC 5545, 3.1)."""
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_SUMMARIES = {
    "releases": "{} is released",
    "waits": "{} is built and waits",
    "dropped": "{}: no release (frozen)",
    "held": "{}: no release (held)",
}


def icalendar(service: str, nights: Sequence[Night], windows: Sequence[Window], now: dt.datetime) -> str:
    """The whole file, its lines ended by CR and LF.

    An event has the same UID whenever it is written, so that whoever subscribes sees it move or change, and not twice.
    A window's UID is made of its name and its beginning.
    """
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Nightferry//nightferry calendar//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"NAME:{_text(f'Releases of {service}')}",
        f"X-WR-CALNAME:{_text(f'Releases of {service}')}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT6H",
    ]
    stamp = f"DTSTAMP:{_utc(now)}"
    for night in nights:
        lines += ["BEGIN:VEVENT", f"UID:{_utc(night.moment)}-{service}@nightferry", stamp, *_night(service, night)]
        lines += ["TRANSP:TRANSPARENT", "END:VEVENT"]
    for window in windows:
        lines += ["BEGIN:VEVENT", f"UID:{_uid(service, window)}@nightferry", stamp, *_window(service, window)]
        lines += ["TRANSP:TRANSPARENT", "END:VEVENT"]
    lines.append("END:VCALENDAR")
    return "".join(f"{folded}\r\n" for line in lines for folded in _folded(line))


def _night(service: str, night: Night) -> Iterator[str]:
    yield f"DTSTART:{_utc(night.moment)}"  # without an end: it ends when it starts (3.6.1)
    yield f"SUMMARY:{_text(_SUMMARIES[night.comes].format(service))}"
    said = [local(night.moment, night.zone)]
    said += [f"Frozen by {window.name}: {window.reason}" for window in night.windows]
    said += ["An exception lifts this."] if night.excepted else []
    said += [f"Opens {local(night.opens, night.zone)}"] if night.opens else []
    said += [f"Held by {hold.actor}: {hold.why}" for hold in night.holds]
    yield f"DESCRIPTION:{_text(chr(10).join(said))}"


def _window(service: str, window: Window) -> Iterator[str]:
    yield f"DTSTART:{_utc(window.begin)}"
    yield f"DTEND:{_utc(window.end)}"
    yield f"SUMMARY:{_text(f'{service} is frozen: {window.name}')}"
    yield f"DESCRIPTION:{_text(window.reason)}"


def _uid(service: str, window: Window) -> str:
    named = hashlib.sha256(window.name.encode()).hexdigest()[:16]  # a name may hold what a UID should not
    return f"{_utc(window.begin)}-{service}-{named}"


def _utc(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    """A value of type TEXT (3.3.11)."""
    value = _CONTROL.sub(" ", value.replace("\r\n", "\n").replace("\r", "\n"))
    return value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> Iterator[str]:
    """The line in pieces of at most 75 octets, of which all but the first begin with a space; no character is cut."""
    piece, room = "", OCTETS
    for character in line:
        size = len(character.encode())
        if size > room:
            yield piece
            piece, room = " ", OCTETS - 1
        piece, room = piece + character, room - size
    yield piece
