"""Look at repositories side by side, each by itself: one that is silent or slow delays no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nightferry.clients.turn import turn
from nightferry.entities.reason import Reason
from nightferry.entities.watching.push import Push
from nightferry.errors import NightferryError, Temporary
from nightferry.steps.watching.doors import Doors
from nightferry.steps.watching.look_at import Looked, look_at
from nightferry.steps.watching.repositories import Repository
from nightferry.steps.watching.side_by_side import TooSlow, side_by_side

SECONDS = 330.0
"""How long a look may take in all: naming the heads takes a moment, fetching a large commit minutes."""
WAIT = 60.0
"""Seconds that a look which a webhook asked for waits for the one under way, which may have begun before the push."""


def look_around(
    wanted: Sequence[Repository], doors: Doors, push: Push | None = None, seconds: float = SECONDS
) -> list[Looked]:
    """Look at each repository, and start what is due. What could not be looked at is in the answer, with why.

    A repository that another process of this machine looks at is left to that one, unless a webhook asks: then the
    look begins after the one under way, once for all who wait.

    Args:
        wanted: the repositories.
        doors: the outside systems.
        push: what a webhook said, if one asks.
        seconds: how long each look may take.
    """
    by_name = {one.short: one for one in wanted}
    jobs = {name: _job(one, doors, push) for name, one in by_name.items()}
    looked = []
    for name, result in side_by_side(jobs, seconds, doors.clock, system=lambda name: by_name[name].system):
        looked.append(result if isinstance(result, Looked) else Looked(by_name[name], faults=(_fault(result),)))
    order = list(by_name)
    return sorted(looked, key=lambda one: order.index(one.repository.short))


def _job(repository: Repository, doors: Doors, push: Push | None) -> Callable[[], Looked]:
    def job() -> Looked:
        with turn(doors.work / "watch", repository.short, doors.clock, wait=WAIT if push else None) as mine:
            return look_at(repository, doors, push) if mine else Looked(repository)

    return job


def _fault(raised: Exception) -> NightferryError:
    if isinstance(raised, NightferryError):
        return raised
    if isinstance(raised, TooSlow):
        return Temporary(Reason.WATCH_SLOW, f"The look was {raised}; the others went on, the next minute looks again.")
    fault = Temporary(Reason.INTERNAL_ERROR, f"An error that nobody foresaw ({type(raised).__name__}).")
    fault.__cause__ = raised
    return fault
