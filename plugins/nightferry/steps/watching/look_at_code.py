"""What is new in a git repository: one call for its heads; a commit is fetched only where a head moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nightferry.clients.doors.watched_source import WatchedSource
from nightferry.entities.service_spec import ServiceSpec, Source
from nightferry.entities.watching.cursor import Cursor
from nightferry.entities.watching.find import COMMIT, Find
from nightferry.errors import NightferryError

NOTHING = "0" * 40
"""Stands for the tree of a folder that is not there: `decide` says so, once."""


@dataclass(frozen=True)
class Look:
    """What was seen of a repository."""

    finds: Mapping[str, Find]
    """By service, of those that have to be asked about."""
    heads: Mapping[str, str] = field(default_factory=dict)
    """What branches and tags name now, of what could be looked at."""
    faults: tuple[NightferryError, ...] = ()
    """Why a part could not be looked at."""


def look_at_code(services: Sequence[ServiceSpec], source: WatchedSource, cursor: Cursor) -> Look:
    """Look at a git repository for the services that live in it.

    Raises:
        Permanent: (source_repository_denied, source_repository_unavailable)
        Temporary: (source_repository_unavailable)
    """
    by_ref: dict[str, list[tuple[ServiceSpec, Source]]] = {}
    for service in services:
        if service.source:
            by_ref.setdefault(service.source.ref, []).append((service, service.source))
    heads = dict(source.heads(list(by_ref)))
    finds: dict[str, Find] = {}
    faults = []
    for ref, commit in list(heads.items()):
        asked = [pair for pair in by_ref[ref] if _is_asked(pair[0].service, ref, commit, cursor)]
        if not asked:
            continue
        try:
            seen = source.trees(ref, commit, sorted({of.path for _, of in asked}))
        except NightferryError as fault:  # the next look fetches it again
            del heads[ref]
            faults.append(fault)
            continue
        heads[ref] = seen.commit
        for service, of in asked:
            finds[service.service] = Find(COMMIT, seen.trees.get(of.path, NOTHING), seen.commit, seen.author)
    return Look(finds, heads, tuple(faults))


def _is_asked(service: str, ref: str, commit: str, cursor: Cursor) -> bool:
    return commit != cursor.heads.get(ref) or service not in cursor.known or service in cursor.open
