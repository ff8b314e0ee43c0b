"""Whether what a look found of a service should be decided about."""

from __future__ import annotations

from nightferry.entities.candidate import Candidate
from nightferry.entities.service_file.triggers import BUILD
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.watching.find import COMMIT, Due, Find

SHORT = 12
"""Digits of an id that name a run."""


def due(service: ServiceSpec, find: Find, last: Candidate | None) -> Due | None:
    """The run that decides about a find; None where the service wants none, or where that was decided about already.

    Whether it is barred, held or frozen is no matter of this: `decide` says so, on the record.

    Args:
        service: its service file as it is now.
        find: the newest of its code, or of its models.
        last: what the newest decision was about; None where none was made.
    """
    wanted = service.triggers.commit if find.event == COMMIT else service.triggers.model
    if wanted is None or _decided(find, last):
        return None
    return Due(f"{find.event}-{service.service}-{find.what[:SHORT]}", "published" if wanted == BUILD else None)


def _decided(find: Find, last: Candidate | None) -> bool:
    if last is None:
        return False
    return find.what == (last.source.tree if find.event == COMMIT else last.model.sha256)
