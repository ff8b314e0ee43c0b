"""The public holidays of countries, as the library `holidays` knows them.

The library takes half a second to load, so what it said is kept in a folder: what is gone is asked for again, and
another version of the library is asked anew.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

Holidays = Callable[[str, str | None, int], Mapping[dt.date, str]]
_CODE = re.compile(r"[A-Za-z0-9]{1,10}")


def kept_holidays(folder: Path) -> Holidays:
    """`public_holidays`, which remembers in a folder what it was told."""

    @lru_cache(maxsize=256)
    def ask(country: str, subdivision: str | None, year: int) -> Mapping[dt.date, str]:
        file = _file(folder, country, subdivision, year)
        if file:
            with suppress(OSError, ValueError, AttributeError):
                kept = json.loads(file.read_text(encoding="utf-8"))
                return {dt.date.fromisoformat(date): str(name) for date, name in kept.items()}
        found = public_holidays(country, subdivision, year)
        if file:
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                written = file.with_suffix(f".{id(found)}.part")
                written.write_text(json.dumps({date.isoformat(): name for date, name in found.items()}), "utf-8")
                written.replace(file)
        return found

    return ask


def _file(folder: Path, country: str, subdivision: str | None, year: int) -> Path | None:
    """Where it is kept; None: the library is not there, or nobody calls a country so."""
    if not all(_CODE.fullmatch(code) for code in (country, subdivision or "all")):
        return None
    try:
        library = version("holidays")
    except PackageNotFoundError:
        return None
    return folder / f"{library}-{country}-{subdivision or 'all'}-{year}.json"


def public_holidays(country: str, subdivision: str | None, year: int) -> Mapping[dt.date, str]:
    """The holidays of a year, with their English names.

    Args:
        country: ISO 3166-1, as CH.
        subdivision: ISO 3166-2 without the country, as ZH; None: what the whole country has.
        year: the year.

    Raises:
        LookupError: the library does not know the country or the subdivision.
        Permanent: (setting_missing) the library is not installed.
    """
    try:
        import holidays
    except ModuleNotFoundError as fault:
        raise Permanent(
            Reason.SETTING_MISSING,
            "Public holidays need the package `holidays`: pip install 'nightferry[calendar]'.",
        ) from fault
    try:
        found = holidays.country_holidays(country, subdiv=subdivision, years=year, language="en_US")
    except NotImplementedError as fault:
        where = f"{country}-{subdivision}" if subdivision else country
        raise LookupError(f"the holidays of {where} are not known; use ISO 3166's codes, as CH and ZH") from fault
    return {date: str(name) for date, name in found.items() if date.year == year}
