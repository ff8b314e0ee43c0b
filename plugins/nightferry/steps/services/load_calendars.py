"""Read a calendar file: strictly, so that what is wrong is said with its key, before any night."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from nightferry import settings as settings_of
from nightferry.clients.holiday_dates import Holidays, kept_holidays, public_holidays
from nightferry.entities.calendar.calendar_file import CalendarFile
from nightferry.entities.calendar.freeze_calendar import Calendar
from nightferry.entities.frozen import problems
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent
from nightferry.masking import secrets_in
from nightferry.steps.services.strict_yaml import read_yaml

SUFFIXES = (".yaml", ".yml")
Read = Callable[[ServiceSpec], Calendar | None]
"""The calendar of a service; None where it names none. Raises Permanent (service_file_invalid)."""


def calendar_of(spec: ServiceSpec) -> Calendar | None:
    """The service's calendar as its file is now; None where it names none.

    Raises:
        Permanent: (service_file_invalid) the calendar is missing or wrong; (setting_missing, setting_invalid)
    """
    if spec.calendar is None:
        return None
    return load_calendar(settings_of.load().services_folders, spec.calendar)


def load_calendar(folders: Path | Sequence[Path], name: str) -> Calendar:
    """One calendar.

    Args:
        folders: those of the service files; the calendars are in the folder `calendars` beside each.
        name: its file's name without `.yaml`.

    Raises:
        Permanent: (service_file_invalid) there is none of this name, or two, or something is wrong with it.
    """
    places = [folder.parent / "calendars" for folder in ((folders,) if isinstance(folders, Path) else folders)]
    found = [path for place in places for suffix in SUFFIXES if (path := place / f"{name}{suffix}").is_file()]
    if not found:
        where = " or ".join(map(str, places))
        raise Permanent(Reason.SERVICE_FILE_INVALID, f"There is no calendar {name!r}: {name}.yaml is not in {where}.")
    if len(found) > 1:
        raise Permanent(
            Reason.SERVICE_FILE_INVALID,
            f"The calendar {name} is described by {' and '.join(map(str, found))}; keep one of them.",
        )
    try:
        return read_calendar(found[0], _kept(settings_of.load().work / "holidays"))
    except ValueError as fault:
        raise Permanent(Reason.SERVICE_FILE_INVALID, f"{found[0]}: {fault}.") from fault


_kept = cache(kept_holidays)


def read_calendar(path: Path, holidays: Holidays = public_holidays) -> Calendar:
    """The calendar in a file.

    Args:
        path: the file.
        holidays: what knows the public holidays of a country.

    Raises:
        ValueError: what is wrong with it, with the keys.
    """
    try:
        file = CalendarFile.model_validate(read_yaml(path, "windows"))
    except ValidationError as fault:
        raise ValueError("; ".join(problems(fault))) from fault
    if secrets := list(secrets_in(file.model_dump(mode="json"))):
        raise ValueError(f"{secrets[0]}: it holds a password, key or token, which would be on record; keep it out")
    with suppress(Permanent):  # without the library nobody can look, which makes no file wrong
        _know_the_countries(file, holidays)
        calendar = Calendar(path.stem, file, holidays)
        if calendar.never_opens():
            raise ValueError("windows: the calendar never opens, since its windows leave no time between them")
    return Calendar(path.stem, file, holidays)


def _know_the_countries(file: CalendarFile, holidays: Holidays) -> None:
    wrong = []
    for number, rule in enumerate(file.windows):
        try:
            if rule.country:
                holidays(*rule.country, 2026)
        except LookupError as fault:
            kind = "holidays" if rule.holidays else "month_end"
            wrong.append(f"windows.{number}.{kind}: {fault}")
    if wrong:
        raise ValueError("; ".join(wrong))
