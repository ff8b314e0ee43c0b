"""Which previews there are, by the record and by the cluster."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nightferry.cli.lookup import known, spec_of
from nightferry.cli.previews.view import MADE, OVER, RUNS
from nightferry.clients import connect
from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Manifest
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.barring.hold import EVERYTHING
from nightferry.entities.service_spec import CLUSTER
from nightferry.entities.state.preview import OpenPreview
from nightferry.errors import NightferryError
from nightferry.manifests import names, trial
from nightferry.manifests import preview as manifests
from nightferry.settings import Settings
from nightferry.steps.record.ledger import utc
from nightferry.steps.record.state import read_state

SEEN, ENDING, GONE, UNSEEN = "runs", "ends", "-", "not seen"


@dataclass(frozen=True)
class Listed:
    """One preview that is not over, or that the cluster still has something of."""

    preview: str
    state: str
    """By the record: `made`, `up`, or `over`."""
    cluster: str
    """What the cluster has: `runs`, `ends` (its time is over, and it is about to be removed), `-` nothing, `not seen`
    where it could not be looked at."""
    by: str
    since: str
    until: str | None
    model: str
    commit: str
    address: str | None

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def listed(settings: Settings, store: LedgerStore, service: str | None, clock: Clock) -> tuple[list[Listed], list[str]]:
    """The previews, and what could not be looked at.

    Raises:
        Permanent: (service_unknown, storage_denied, ledger_…)   Temporary: (storage_unavailable)
    """
    if service:
        known(settings, store, service)
    services = [service] if service else [one for one in store.services() if one != EVERYTHING]
    opened = {one.preview: one for name in services for one in read_state(store, name).previews}
    jobs, silent = _jobs(settings, {_connection(settings, name) for name in services})
    found = [_of_record(one, jobs, clock, seen=not silent) for one in opened.values()]
    left = [job for name, job in jobs.items() if name not in opened and _of(job) in services]
    return [*found, *(_of_cluster(job) for job in left)], silent


def _connection(settings: Settings, service: str) -> str:
    try:
        return spec_of(settings, service).environments[-1].cluster
    except NightferryError:  # its file is gone: the usual cluster
        return CLUSTER


def _jobs(settings: Settings, connections: set[str]) -> tuple[dict[str, Manifest], list[str]]:
    found: dict[str, Manifest] = {}
    silent: list[str] = []
    for connection in sorted(connections):
        try:
            jobs = connect.cluster(settings, trial.NAMESPACE, connection).list("Job", manifests.LABELS)
            found |= {job["metadata"]["name"]: job for job in jobs}
        except NightferryError as fault:
            silent.append(f"The cluster of {connection} could not be looked at: {fault.sentence}")
    return found, silent


def _of_record(one: OpenPreview, jobs: dict[str, Manifest], clock: Clock, *, seen: bool) -> Listed:
    job = jobs.get(one.preview)
    over = bool(one.until) and one.until <= utc(clock.now())
    there = ENDING if job and manifests.is_over(job, clock.now()) else SEEN if job else GONE if seen else UNSEEN
    state = OVER if over else RUNS if one.until else MADE
    until, address = one.until or None, one.address or None
    return Listed(one.preview, state, there, one.actor, one.since, until, one.model, one.commit, address)


def _of_cluster(job: Manifest) -> Listed:
    notes = names.annotations_of(job)
    model, commit = notes.get(names.MODEL, ""), notes.get(names.SOURCE, "")
    since = str(job["metadata"].get("creationTimestamp") or "")
    by, until = notes.get(manifests.BY, ""), manifests.until(job)
    return Listed(job["metadata"]["name"], OVER, ENDING, by, since, until or None, model, commit, None)


def _of(job: Manifest) -> str:
    return str((job["metadata"].get("labels") or {}).get(names.NAME))
