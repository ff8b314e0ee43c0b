"""The public holidays of countries, as the library `holidays` knows them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent


@lru_cache(maxsize=256)
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
