"""What `nightferry calendar` costs for a year: the nights of a service under a calendar with every kind of window.

    python benchmarks/freeze_calendar.py [--days 365] [--rounds 7] [--json]

Measured beside it, in turns: the bare times of the schedule, of croniter alone. Each figure is the median of the
processor seconds over the rounds, after one that does not count. What reads the record and looks at storage is no part.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nightferry.entities.calendar.icalendar_text import icalendar
from nightferry.entities.calendar.outlook import outlook
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.services.load_calendars import read_calendar

ROOT = Path(__file__).resolve().parents[1]
AIM_SECONDS = 1.0
BEGIN = dt.datetime(2026, 2, 1, 12, tzinfo=dt.UTC)
SPEC = ServiceSpec.model_validate(
    {
        "service": "bench",
        "owner": "bench",
        "schedule": {"cron": "0 2 * * *", "timezone": "Europe/Zurich"},
        "model": {"repository": "azure-blob://models/bench"},
        "image": {"repository": "registry.example/bench"},
        "environments": [{"name": "production", "namespace": "production"}],
    }
)


def nights(days: int) -> None:
    """The nights with their windows, and the iCalendar of both; the file is read anew, as a command does."""
    calendar = read_calendar(ROOT / "dags" / "calendars" / "company.yaml")
    end = BEGIN + dt.timedelta(days=days)
    found = list(outlook(SPEC, calendar, BEGIN, end))
    assert len(found) == days
    icalendar(SPEC.service, found, calendar.windows(BEGIN, end), BEGIN)


def bare(days: int) -> None:
    """The times of the schedule alone."""
    from croniter import croniter

    cron = croniter("0 2 * * *", BEGIN)
    assert len([cron.get_next(dt.datetime) for _ in range(days)]) == days


def main() -> int:
    """Measure and print; 0 when the aim is met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    began = time.process_time()
    nights(given.days)  # loads the holidays
    first = time.process_time() - began
    taken: dict[Callable[[int], None], list[float]] = {nights: [], bare: []}
    for _ in range(given.rounds + 1):
        for work, seconds in taken.items():
            began = time.process_time()
            work(given.days)
            seconds.append(time.process_time() - began)
    whole, alone = (statistics.median(seconds[1:]) for seconds in taken.values())
    met = first < AIM_SECONDS
    if given.json:
        print(json.dumps({"days": given.days, "first": first, "seconds": whole, "bare": alone, "ratio": whole / alone}))
        return 0
    print(
        f"{given.days} nights: {first:.2f} s the first time, in which the holidays are loaded; {whole:.3f} s after it,"
    )
    print(f"{whole / alone:.1f} × the bare times of the schedule ({alone:.3f} s).")
    print(f"The aim (below {AIM_SECONDS:g} s of processor time, the first time) is {'' if met else 'not '}met.")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
