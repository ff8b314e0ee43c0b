"""End previews: the one that a person names, and those whose time is over."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.preview import PreviewId, is_preview
from nightferry.entities.reason import Reason
from nightferry.entities.state.service_state import ServiceState
from nightferry.manifests import names
from nightferry.manifests import preview as manifests
from nightferry.steps.record.preview_record import CLOCK, preview_entries, record_end
from nightferry.steps.record.state import read_state

GONE_SECONDS = 60.0
POLL_SECONDS = 0.5
log = logging.getLogger(__name__)


def end_preview(
    preview: str, *, cluster: Cluster, ledger: LedgerStore, clock: Clock, actor: str, why: str = ""
) -> LedgerEntry:
    """End a preview before its time, and wait until nothing of it is left. One that is over already stays so.

    Args:
        preview: its name.
        cluster: the trial namespace.
        ledger: the record.
        clock: for times and waits.
        actor: who asks.
        why: in the person's words.

    Returns the entry of its end. Raises:
        Permanent: (preview_unknown, cluster_denied, storage_denied, ledger_…)
        Temporary: (cluster_unavailable, storage_unavailable)
    """
    preview_entries(ledger, preview)
    said = f"{actor} ended {preview}{f': {why}' if why else '.'}"
    # The record first: whoever is bringing it up sees that, and takes away what was made after this removes it.
    entry = record_end(ledger, clock, preview, actor=actor, reason=Reason.PREVIEW_ENDED, sentence=said)
    remove(cluster, preview, clock)
    return entry


def over(cluster: Cluster, ledger: LedgerStore, clock: Clock) -> list[Manifest]:
    """The Jobs of previews that are over: by their time, by the cluster's word, or by the record.

    Raises:
        Permanent: (cluster_denied, storage_denied, ledger_…)   Temporary: (cluster_unavailable, storage_unavailable)
    """
    now = clock.now()
    found = [one for one in cluster.list("Job", manifests.LABELS) if is_preview(one["metadata"]["name"])]
    states = {service: read_state(ledger, service) for service in sorted({_id(one).service for one in found})}
    return [one for one in found if manifests.is_over(one, now) or _closed(states[_id(one).service], one)]


def _closed(state: ServiceState, job: Manifest) -> bool:
    """Whether the record says that it is over; of one that it never heard of it says nothing."""
    open_ones = {one.preview for one in state.previews}
    return _id(job).number <= state.preview_number and job["metadata"]["name"] not in open_ones


def _id(job: Manifest) -> PreviewId:
    return PreviewId.parse(job["metadata"]["name"])


def end_over(cluster: Cluster, ledger: LedgerStore, clock: Clock) -> list[str]:
    """Write the end of each preview that is over, and remove what is left of it; their names. Raises as `over`."""
    ended = []
    for job in over(cluster, ledger, clock):
        name = job["metadata"]["name"]
        sentence = manifests.why_over(job) or _time_is_over(job)
        record_end(ledger, clock, name, actor=CLOCK, reason=Reason.PREVIEW_ENDED, sentence=f"{name} ended. {sentence}")
        remove(cluster, name, clock)
        log.info("%s is over. %s", name, sentence)
        ended.append(name)
    return ended


def remove(cluster: Cluster, preview: str, clock: Clock, seconds: float = GONE_SECONDS) -> None:
    """Remove a preview's Job and all that goes with it, and wait until that is gone, at most so long.

    Raises:
        Permanent: (cluster_denied)   Temporary: (cluster_unavailable)
    """
    cluster.delete("Job", preview)
    # The cluster's garbage collector takes these too; asked for here, the address is gone at once.
    cluster.delete("Service", preview)
    deadline = clock.monotonic() + seconds
    while _left(cluster, preview) and clock.monotonic() < deadline:
        clock.sleep(POLL_SECONDS)


def _left(cluster: Cluster, preview: str) -> Sequence[Manifest]:
    pods = cluster.list("Pod", {names.VERSION: preview, **manifests.LABELS})
    parts = [cluster.get(kind, preview) for kind in ("Job", "Service", "NetworkPolicy")]
    return [*pods, *(one for one in parts if one)]


def _time_is_over(job: Manifest) -> str:
    hours = names.annotations_of(job).get(manifests.FOR)
    return f"Its {hours} h are over." if hours else "Its time is over."
