"""What is new in a model repository: one listing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from nightferry.clients.clock import CLOCK_ERROR
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.watching.cursor import Cursor
from nightferry.entities.watching.find import MODEL, Find
from nightferry.steps.watching.look_at_code import Look


def look_at_models(services: Sequence[ServiceSpec], models: ModelRepository, cursor: Cursor, now: dt.datetime) -> Look:
    """Look at the newest complete version whose time has come; it is every service's that takes its models here.

    Raises:
        Permanent: (model_repository_missing, storage_denied)   Temporary: (storage_unavailable)
    """
    newest = next((one for one in models.listings() if one.age[0] <= now + CLOCK_ERROR), None)
    if newest is None:
        return Look({})
    find = Find(MODEL, newest.sha256, newest.version, newest.author)
    names = [one.service for one in services]
    return Look({name: find for name in names if cursor.known.get(name) != find.what or name in cursor.open})
