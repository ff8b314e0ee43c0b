"""Take a release out of use because it is wrong: users get the one before again.

The order is written on the record first, and its sequence is the fence of the movement; then the Service is pointed
back; then it is written that this was done. A storage that does not answer keeps nobody from going back: the fence
stays as it is then, and whoever looks next completes the record from the Service.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import Environment
from nightferry.errors import NightferryError
from nightferry.manifests import names, policies
from nightferry.steps.record.close_release import close_again
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.rollout_record import WITHDRAW, record_order, record_seen, record_success, record_trouble
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.await_ready import await_ready
from nightferry.steps.rollout.back.verdict_note import noted_verdict, verdict_note
from nightferry.steps.rollout.follow_route import follow
from nightferry.steps.rollout.read_plan import read_plan
from nightferry.steps.rollout.remove_release import remove_release
from nightferry.steps.rollout.settle_releases import annotate, settle
from nightferry.steps.rollout.switch_service import in_use, switch_back, utc

_LOOK = dt.timedelta(hours=1)
"""How long the pods of a first release that was wrong stay, so that a person can look at them."""
log = logging.getLogger(__name__)


def go_back(plan: RolloutPlan, why: NightferryError, *, cluster: Cluster, ledger: LedgerStore, clock: Clock) -> str:
    """Take the plan's release out of use; what was done, as a sentence.

    Done again after an interruption it goes on where it stopped. Where a release that users were served well by has
    nothing to go back to, it stays in use rather than leaving users with nothing; one that was never right leaves the
    traffic, and nothing is deleted.

    Raises:
        Permanent: (rollout_not_ready: the release before does not come up again, rollout_refused)
        Temporary: (cluster_unavailable, rollout_not_ready)
    """
    where, stable = plan.environment.name, cluster.get("Service", plan.service)
    if stable and names.ROLLBACK in names.annotations_of(stable) and _withdrawn(stable) == plan.release:
        return f"{where} was rolled back to {in_use(stable)} by a person; nothing was changed."
    if stable is None or not (in_use(stable) == plan.release or _withdrawn(stable) == plan.release):
        return f"{where} serves {in_use(stable) or 'nothing'}; nothing was changed."
    if in_use(stable) == plan.release:
        kept = _nowhere_to_go(plan, cluster, ledger, stable)
        if kept:
            return kept
    order = _order(plan, why, stable, ledger, clock)
    try:
        note = {} if order else verdict_note(plan.release, why, _met(plan, stable, clock))
        sentence, back = _move(plan, cluster, ledger, clock, order, note)
    except NightferryError as fault:
        record_trouble(ledger, clock, plan, WITHDRAW, fault, {})
        with suppress(NightferryError):  # whoever looks next completes the record
            close_again(ledger, clock, plan.release)
        raise
    if back is None:
        return sentence
    if order is None and _order(plan, why, cluster.get("Service", plan.service) or stable, ledger, clock) is None:
        return sentence  # whoever looks next completes the record: the order, with what is barred, comes first
    try:
        record_success(ledger, clock, plan, WITHDRAW, sentence, {"to": back})
        close_again(ledger, clock, plan.release)
    except NightferryError as silent:  # whoever looks next completes the record
        log.warning("The ledger does not have this yet: %s", silent.sentence)
    return sentence


def _nowhere_to_go(plan: RolloutPlan, cluster: Cluster, ledger: LedgerStore, stable: Manifest) -> str:
    """Why the release has to stay in use; empty when there is another place for its users."""
    where, previous = plan.environment.name, names.annotations_of(stable).get(names.PREVIOUS, "")
    if previous:
        if cluster.get("Deployment", names.object_name(previous)) is None:
            return f"{where} keeps {plan.release}: {previous} is gone, there is nothing to go back to."
        return ""
    try:
        traffic = read_state(ledger, plan.service).traffic.get(where)
    except NightferryError:  # not known to have been right once
        return f"{where} keeps {plan.release}: whether it was right before cannot be looked up."
    if traffic and traffic.release == plan.release and traffic.verified:
        return f"{where} keeps {plan.release}: there is nothing to go back to."
    return ""


def _order(plan: RolloutPlan, why: NightferryError, stable: Manifest, ledger: LedgerStore, clock: Clock) -> int | None:
    try:
        if in_use(stable) == plan.release:  # whoever switched may have been killed before writing it
            record_seen(ledger, clock, plan, names.annotations_of(stable).get(names.PREVIOUS, ""))
            previous, met = names.annotations_of(stable).get(names.PREVIOUS, ""), _met(plan, stable, clock)
        else:
            noted = noted_verdict(stable, plan.release)
            previous, met = in_use(stable), noted[1] if noted else {}
        return record_order(ledger, clock, plan, why, previous, met).sequence
    except NightferryError as silent:
        log.warning("The ledger does not have this order yet: %s", silent.sentence)
        return None


def _met(plan: RolloutPlan, stable: Manifest, clock: Clock) -> dict[str, Any]:
    """How many users met the release: all of them, since it was switched to."""
    try:
        since = dt.datetime.fromisoformat(names.annotations_of(stable).get(names.SWITCHED, ""))
        seconds = max(0.0, (clock.now() - since).total_seconds())
    except (ValueError, TypeError):  # changed by hand
        return {}
    return {"share": "100%", "seconds": round(seconds, 1)} if in_use(stable) == plan.release else {}


def _move(
    plan: RolloutPlan,
    cluster: Cluster,
    ledger: LedgerStore,
    clock: Clock,
    order: int | None,
    note: Mapping[str, str],
) -> tuple[str, str | None]:
    """Point the Service back where it still points to the release, and clear up.

    Returns:
        What was done, as a sentence, and the release that users get now: empty for none, None where nothing was moved
        because another release is in use.
    """
    where = plan.environment.name
    stable = cluster.get("Service", plan.service)
    if stable is not None and in_use(stable) == plan.release:
        previous = names.annotations_of(stable).get(names.PREVIOUS, "")
        former = as_it_was(plan.environment, previous, ledger)
        woken = wake(cluster, plan.service, former, previous, clock) if previous else None
        if previous and woken is None:
            return f"{where} keeps {plan.release}: {previous} is gone, there is nothing to go back to.", None
        identity = names.identity_of(woken) if woken else {}
        switch_back(cluster, plan.service, plan.release, identity, former, clock, order, note)
        stable = cluster.get("Service", plan.service)
    current = in_use(stable)
    if stable is None or current == plan.release or _withdrawn(stable) != plan.release:
        return f"{where} serves {current or 'nothing'}; nothing was changed.", None
    follow(cluster, plan.service, as_it_was(plan.environment, current, ledger), clock)
    if not current:
        # Kept for a look at it; whoever retires releases lets its pods go.
        now = clock.now()
        annotate(cluster, plan.release, {names.WARM_UNTIL: utc(now + _LOOK), names.WRONG: utc(now)})
        return f"{plan.release} was the first and is out of the traffic; {where} serves nothing.", ""
    settle(cluster, plan.service, as_it_was(plan.environment, current, ledger), current, clock)
    remove_release(cluster, plan.service, plan.release, clock, although_served=True)
    return f"{where} serves {current} again, and {plan.release} was removed.", current


def _withdrawn(stable: Manifest) -> str:
    """The release that was taken back from the Service last; empty for none."""
    return names.annotations_of(stable).get(names.WITHDRAWN, "")


def as_it_was(environment: Environment, release: str, ledger: LedgerStore) -> Environment:
    """The environment as it was decided for an earlier release: its settings come back with it. It stays as it is given
    where the record does not say, or cannot be read."""
    try:
        return read_plan(release_entries(ledger, release), environment.name).environment
    except NightferryError:
        return environment


def wake(cluster: Cluster, service: str, environment: Environment, release: str, clock: Clock) -> Manifest | None:
    """Make sure that an earlier release's pods run and are ready; its Deployment, None when that is gone.

    From here on nobody scales it to zero: it is no longer kept warm for a time but wanted. Raises as `go_back`.
    """
    name = names.object_name(release)
    found = cluster.get("Deployment", name)
    if found is None:
        return None
    changes: Manifest = {"metadata": {"annotations": {names.WARM_UNTIL: None}}}
    if not found["spec"].get("replicas", 1):
        kept = names.annotations_of(found).get(names.REPLICAS, "")
        changes["spec"] = {"replicas": int(kept) if kept.isdigit() else environment.replicas}
    found = cluster.patch("Deployment", name, changes)
    if found is None:
        return None
    cluster.apply(policies.disruption_budget(found))
    await_ready(cluster, service, release, seconds=environment.ready_seconds, clock=clock)
    log.info("%s is ready in %s.", release, cluster.namespace)
    return found
