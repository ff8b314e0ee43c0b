"""Which model version is the newest: the one created last, of those whose time has come."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from nightferry.clients.clock import CLOCK_ERROR
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent


@dataclass(frozen=True)
class NewestModel:
    """The newest version, and what was passed over."""

    version: str
    waiting: str
    """A sentence about versions that say they were made in the future; "" when there is none."""


def newest_model(models: ModelRepository, where: str, now: dt.datetime) -> NewestModel:
    """The newest complete version. One that says it was created in the future counts only when that time has come:
    it would otherwise hide all that is published until then.

    Args:
        models: the service's model repository.
        where: its name for people.
        now: the time.

    Raises:
        Permanent: (model_none, model_repository_missing, storage_denied)
        Temporary: (storage_unavailable)
    """
    listings = models.listings()
    early = [listing for listing in listings if listing.age[0] > now + CLOCK_ERROR]
    counting = [listing for listing in listings if listing not in early]
    waiting = ""
    if early:
        others = f" (and {len(early) - 1} more)" if early[1:] else ""
        waiting = (
            f"Model {early[0].version}{others} says that it was created in the future, {early[0].created}, and does "
            "not count as the newest before that."
        )
    if not counting:
        what = waiting or f"There is no complete model in {where}."
        raise Permanent(Reason.MODEL_NONE, f"{what} Publish one with `nightferry models publish`.")
    return NewestModel(counting[0].version, waiting)
