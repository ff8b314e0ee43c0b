"""Heal: look, write down what differs, put it back, and write that down too."""

from __future__ import annotations

import logging
from functools import partial

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.state.drift import PASSPORT, POD_IMAGE, OpenDrift
from nightferry.errors import NightferryError
from nightferry.steps.record.drift_record import DriftPlace, record_drift, record_healed
from nightferry.steps.rollout.drift.look import Asker, Look, look, read_scene
from nightferry.steps.rollout.drift.put_back import put_back_deployment, put_back_route, put_back_service
from nightferry.steps.rollout.drift.under_way import rolling_out, under_way

ACTOR = "drift"
"""Who looks where no person does."""
NOT_HEALED = {POD_IMAGE, PASSPORT}
"""What is only seen at the pods: whoever changed those changed no Deployment, and ending pods is no healing."""
log = logging.getLogger(__name__)


def look_and_record(
    service: str,
    environment: str,
    *,
    cluster: Cluster,
    ledger: LedgerStore,
    clock: Clock,
    ask: Asker | None = None,
    actor: str = ACTOR,
) -> Look:
    """Look, and write on the record what is new and what is gone. Raises as `look` and `append_with`."""
    seen = look(service, environment, cluster=cluster, ledger=ledger, clock=clock, ask=ask)
    if seen.release and not seen.under_way:
        place = DriftPlace(service, environment, cluster.namespace, seen.release, actor)
        record_drift(ledger, clock, place, seen.drifts, seen.unseen)
    return seen


def heal(
    service: str,
    environment: str,
    *,
    cluster: Cluster,
    ledger: LedgerStore,
    clock: Clock,
    ask: Asker | None = None,
    actor: str = ACTOR,
) -> list[OpenDrift]:
    """Look, record, and put back what was changed by hand; the differences that were put back.

    Nothing is put back while a release is rolled out or traffic is moved, and nothing that the record does not tell of.

    Raises:
        Permanent: (rollout_refused, rollout_superseded, ledger_behind, cluster_denied, storage_denied …)
        Temporary: (cluster_unavailable, storage_unavailable, ledger_busy)
    """
    seen = look(service, environment, cluster=cluster, ledger=ledger, clock=clock, ask=ask)
    if seen.under_way or seen.release is None:
        log.info("%s of %s is left alone: %s", environment, service, seen.under_way or "it serves nothing.")
        return []
    place = DriftPlace(service, environment, cluster.namespace, seen.release, actor)
    told = record_drift(ledger, clock, place, seen.drifts, seen.unseen)
    causes = {one.cause for one in seen.drifts}
    mine = [one for one in told if one.cause in causes and one.what not in NOT_HEALED]
    if not mine:
        return []
    faults = _put_back(seen, cluster, ledger, clock)
    after = look(service, environment, cluster=cluster, ledger=ledger, clock=clock)
    left = {one.cause for one in after.drifts}
    healed = [] if after.under_way else [one for one in mine if one.cause not in left]
    record_healed(ledger, clock, place, healed)
    if faults:
        raise faults[0]
    return healed


def _put_back(seen: Look, cluster: Cluster, ledger: LedgerStore, clock: Clock) -> list[NightferryError]:
    """Put back what can be; what went wrong."""
    scene = read_scene(seen.service, seen.environment, cluster=cluster, ledger=ledger)
    if scene is None or scene.traffic.release != seen.release:
        return []
    moving = under_way(scene.traffic, scene.stable, scene.deployments, clock)
    coming = rolling_out(scene.state, scene.traffic, scene.deployments)
    if moving or coming:
        log.info("Nothing is put back: %s", moving or f"{coming} is being rolled out.")
        return []
    faults = []
    for work in (
        partial(put_back_deployment, cluster, scene.plan, scene.traffic, clock),
        partial(put_back_service, cluster, scene.plan, scene.traffic),
        partial(put_back_route, cluster, scene.plan, scene.traffic, clock),
    ):
        try:
            work()
        except NightferryError as fault:  # the others are put back all the same
            faults.append(fault)
    return faults
