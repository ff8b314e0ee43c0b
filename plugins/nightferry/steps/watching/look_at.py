"""Look at one repository, and start what is due."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.watching.cursor import Cursor, Open
from nightferry.entities.watching.find import COMMIT
from nightferry.entities.watching.push import Push
from nightferry.errors import NightferryError
from nightferry.steps.watching.doors import Doors
from nightferry.steps.watching.keep_cursor import keep_cursor, read_cursor
from nightferry.steps.watching.look_at_code import Look, look_at_code
from nightferry.steps.watching.look_at_models import look_at_models
from nightferry.steps.watching.repositories import Repository
from nightferry.steps.watching.start_due import Answer, start_due


@dataclass(frozen=True)
class Looked:
    """What a look at a repository led to."""

    repository: Repository
    started: tuple[str, ...] = ()
    """The runs that were started."""
    faults: tuple[NightferryError, ...] = ()
    """Why it, or a part of it, could not be looked at: no run was started for that, and the next look tries again."""


def look_at(repository: Repository, doors: Doors, push: Push | None = None) -> Looked:
    """Look at a repository, ask about the services in it for which it moved, and remember what was seen.

    A service about which the record, or Airflow, could not be asked is asked about again at the next look.

    Raises:
        Permanent: (source_repository_denied, source_repository_unavailable, model_repository_missing, storage_denied,
            ledger_missing)
        Temporary: (source_repository_unavailable, storage_unavailable)
    """
    kept = read_cursor(doors.cursors, repository.note)
    cursor = kept.cursor
    look = _look(repository, doors, cursor)
    names = {one.service for one in repository.services}
    known = {name: what for name, what in cursor.known.items() if name in names}
    left = {name: one for name, one in cursor.open.items() if name in names}
    passed = {name: some for name, some in cursor.passed.items() if name in names}
    started, faults = [], list(look.faults)
    for service in repository.services:
        name, find = service.service, look.finds.get(service.service)
        if find is None or (name not in left and known.get(name) == find.what):
            continue
        try:
            answer = _ask(service, cursor, look, doors, push)
        except NightferryError as fault:
            faults.append(fault)
            left.setdefault(name, Open())
            continue
        known[name] = find.what
        started += [answer.started] if answer.started else []
        _set(left, name, answer.open)
        _set(passed, name, answer.passed)
    heads = {ref: head for ref, head in {**cursor.heads, **look.heads}.items() if ref in _refs(repository)}
    now = Cursor(address=repository.shown, heads=heads, known=known, open=left, passed=passed)
    keep_cursor(doors.cursors, repository.note, kept, now)
    return Looked(repository, tuple(started), tuple(faults))


def _look(repository: Repository, doors: Doors, cursor: Cursor) -> Look:
    if repository.event == COMMIT:
        return look_at_code(repository.services, doors.source(repository.address), cursor)
    models = doors.models(repository.services[0].model)
    return look_at_models(repository.services, models, cursor, doors.clock.now())


def _ask(service: ServiceSpec, cursor: Cursor, look: Look, doors: Doors, push: Push | None) -> Answer:
    name, find = service.service, look.finds[service.service]
    return start_due(
        service,
        find,
        doors,
        before=cursor.open.get(name),
        passed=cursor.passed.get(name, ()),
        new=cursor.known.get(name) != find.what,
        push=push,
    )


def _set(among: dict[str, Any], name: str, value: Any) -> None:
    if value:
        among[name] = value
    else:
        among.pop(name, None)


def _refs(repository: Repository) -> set[str]:
    return {one.source.ref for one in repository.services if one.source}
