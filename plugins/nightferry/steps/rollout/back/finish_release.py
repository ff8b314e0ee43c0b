"""Finish what was left: a release that nobody looked at after the switch, a going back that was interrupted, and
staging after production went back.

Whoever was killed, whatever became of Airflow, the next to come here reads the record and the Service and completes
both, so that they agree. Nothing is decided here that was not decided before.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.fact_key import ROLLBACK, WITHDRAWN, FactKey, of_environment, step_of
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import Environment
from nightferry.entities.state.service_state import LAST, ServiceState
from nightferry.errors import NightferryError, Permanent
from nightferry.manifests import names
from nightferry.steps.record.canary_record import CanaryRecord, abandoned, canary_in, since
from nightferry.steps.record.close_release import close_again
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.rollout_record import record_seen
from nightferry.steps.record.state import decision_of, read_state, state_of
from nightferry.steps.rollout.back.go_back import go_back
from nightferry.steps.rollout.back.roll_back import Wish, complete_rollback, roll_back
from nightferry.steps.rollout.back.verdict_note import noted_verdict
from nightferry.steps.rollout.fence import Orders, order_of
from nightferry.steps.rollout.follow_route import carried_share, follow
from nightferry.steps.rollout.read_plan import pinned_spec, read_plan
from nightferry.steps.rollout.strategies.kubernetes import KubernetesTarget
from nightferry.steps.rollout.strategies.take_back import take_back
from nightferry.steps.rollout.switch_service import in_use

GRACE = dt.timedelta(minutes=5)
"""So long after the switch the pod that switched may still be looking, and is left alone."""
Verify = Callable[[RolloutPlan], object]
"""`verify_release` with its doors, and the golden examples fetched."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Place:
    """One service in one environment."""

    service: str
    environment: str
    cluster: Cluster
    ledger: LedgerStore
    clock: Clock
    take: Callable[[], None]

    def state(self) -> ServiceState:
        return read_state(self.ledger, self.service)

    def plan(self, release: str) -> RolloutPlan:
        return read_plan(release_entries(self.ledger, release), self.environment)

    def complete_rollback(self, release: str) -> None:
        plan = self.plan(release)
        complete_rollback(self.service, plan.environment, cluster=self.cluster, ledger=self.ledger, clock=self.clock)

    def roll_back(self, release: str, order: LedgerEntry, ends: str = "") -> None:
        """Finish a rollback that was ordered, or let this environment follow one of the last environment; or end the
        canary of the release `ends`."""
        environment, said = self.plan(release).environment, order.data
        wish = Wish(self.service, environment, str(said.get("to", "")), str(said.get("why", "")), order.actor, ends)
        roll_back(wish, cluster=self.cluster, ledger=self.ledger, clock=self.clock)


def finish_release(
    service: str,
    environment: str,
    *,
    cluster: Cluster,
    ledger: LedgerStore,
    verify: Verify,
    clock: Clock,
    grace: dt.timedelta = GRACE,
    take: Callable[[], None] = lambda: None,
) -> None:
    """Make traffic and record agree in one environment, and finish what was ordered. Done twice it changes nothing.

    Args:
        service: the service's name.
        environment: the environment's name.
        cluster: its namespace.
        ledger: the record.
        verify: verifies the release of a plan, and goes back if it is wrong.
        clock: for waits and times.
        grace: how long after a switch the release is left to whoever switched.
        take: called before something is ordered: whoever works under the service's Lease has the next call take it.

    Raises:
        Permanent: (ledger_behind, cluster_denied, storage_denied, verify_…: it was taken out of use)
        Temporary: (cluster_unavailable, storage_unavailable, verify_unreachable)
    """
    place = _Place(service, environment, cluster, ledger, clock, take)
    stable = cluster.get("Service", service)
    current = in_use(stable)
    if stable is None:
        return
    order_of(stable, Orders(ledger, service))  # a record that is behind completes nothing
    _complete_record(place, stable, current)
    _finish_canary(place)
    if current and names.ROUTED in names.annotations_of(stable):
        follow(cluster, service, place.plan(current).environment, clock)
    state = place.state()
    traffic = state.traffic.get(environment)
    if traffic is None or traffic.release is None or traffic.release != current:
        return
    rollback = _ordered_rollback(place, state, traffic.release)
    if rollback:
        take()
        place.roll_back(traffic.release, rollback)
        return
    why = _wrong(place, state, traffic.release)
    if why:
        take()
        log.info(go_back(place.plan(traffic.release), why, cluster=cluster, ledger=ledger, clock=clock))
        close_again(place.ledger, place.clock, traffic.release)
    elif not traffic.verified and clock.now() - dt.datetime.fromisoformat(traffic.since) >= grace + _bake(place, state):
        take()
        try:
            verify(place.plan(traffic.release))
        finally:
            close_again(place.ledger, place.clock, traffic.release)


def _finish_canary(place: _Place) -> None:
    """End the canary that nobody watches over any more, and the one that was ordered to end: the record decides.

    One that the route carries and the record does not know, or knows as ended, is ended too: what is begun is written
    before it gets users.
    """
    share = carried_share(place.cluster, place.service)
    canary = canary_in(place.state(), place.environment)
    if canary is None or (share and share.release != canary.release):
        if share:
            _target(place, place.plan(share.release)).take_back()
        return
    plan = place.plan(canary.release)
    target, record = _target(place, plan), CanaryRecord(place.ledger, place.clock, plan)
    if canary.withdrawing is not None:
        place.take()
        entries = release_entries(place.ledger, canary.release)
        order = next(entry for entry in entries if entry.sequence == canary.withdrawing)
        if order.kind == Kind.ROLLBACK:
            place.roll_back(canary.release, order, ends=canary.release)
        else:
            why = Permanent(order.reason, order.sentence)
            take_back(plan, why, order.data, target=target, ledger=place.ledger, clock=place.clock)
    elif abandoned(canary, place.clock):
        target.take_back()
        why = Permanent(Reason.INTERRUPTED, "nobody watched over it any more; its deployer was ended.")
        record.ended(canary, why, since(canary, place.clock), None, canary.seconds)
    elif share and not canary.stands:
        target.take_back()


def _target(place: _Place, plan: RolloutPlan) -> KubernetesTarget:
    return KubernetesTarget(plan, place.cluster, Orders(place.ledger, place.service), place.clock)


def environments_in(ledger: LedgerStore, service: str, namespace: str) -> list[str]:
    """The environments whose users' release was decided to live in this namespace. Raises as `read_state`."""
    chain = Chain(ledger, service)
    state = state_of(chain)
    found: list[str] = []
    for name, traffic in state.traffic.items():
        decision = decision_of(chain, state, traffic.release)
        spec = decision.service_spec if decision else None
        if spec and name in [one.name for one in spec.environments] and spec.environment(name).namespace == namespace:
            found.append(name)
    return found


def decided_environment(ledger: LedgerStore, service: str, environment: str) -> Environment:
    """An environment as it was decided for the release that its users get.

    Raises:
        Permanent: (rollback_impossible) the record knows of no release there.
        As `read_state`.
    """
    chain = Chain(ledger, service)
    state = state_of(chain)
    traffic = state.traffic.get(environment)
    decision = decision_of(chain, state, traffic.release if traffic else None)
    if decision is None:
        raise Permanent(Reason.ROLLBACK_IMPOSSIBLE, f"By the record, {environment} of {service} serves no release.")
    return pinned_spec(decision).environment(environment)


def _bake(place: _Place, state: ServiceState) -> dt.timedelta:
    """How long the pod that switched watches over the release."""
    environment = place.plan(str(state.traffic[place.environment].release)).environment
    return dt.timedelta(seconds=environment.strategy.bake_seconds)


def _complete_record(place: _Place, stable: Manifest, current: str) -> None:
    """Write down what the Service says and the record does not: whoever moved it was killed, or could not write."""
    notes = names.annotations_of(stable)
    if names.ROLLBACK in notes:
        place.complete_rollback(current)
        return
    traffic = place.state().traffic.get(place.environment)
    known = traffic.release if traffic else None
    withdrawn = notes.get(names.WITHDRAWN, "")
    verdict = noted_verdict(stable, withdrawn)
    if withdrawn and known == withdrawn:
        place.take()
        plan = place.plan(withdrawn)
        fault = (
            verdict[0]
            if verdict
            else Permanent(
                Reason.WITHDRAWN, f"it was taken back at {notes.get(names.SWITCHED)}, that was written later."
            )
        )
        log.info(go_back(plan, fault, cluster=place.cluster, ledger=place.ledger, clock=place.clock))
        close_again(place.ledger, place.clock, withdrawn)
    elif verdict and not _is_withdrawn(place, withdrawn):
        place.take()
        plan = place.plan(withdrawn)
        take_back(plan, *verdict, target=_target(place, plan), ledger=place.ledger, clock=place.clock)
    elif withdrawn in place.state().decided:
        close_again(place.ledger, place.clock, withdrawn)  # whoever took it back may not have come so far
    elif current and known != current:
        record_seen(place.ledger, place.clock, place.plan(current), notes.get(names.PREVIOUS, ""))


def _wrong(place: _Place, state: ServiceState, release: str) -> NightferryError | None:
    """Why the release has to go from here: its withdrawal was ordered here, or it went from the last environment."""
    traffic = state.traffic[place.environment]
    entries = release_entries(place.ledger, release)
    if traffic.withdrawing is not None:
        ordered = next(entry for entry in entries if entry.sequence == traffic.withdrawing)
        return Permanent(ordered.reason, ordered.sentence)
    gone = next((entry for entry in entries if _withdrawn_last(entry)), None)
    if gone is None or place.environment == LAST:
        return None
    return Permanent(Reason.WITHDRAWN, f"{release} was taken out of use in {LAST}: {gone.sentence}")


def _ordered_rollback(place: _Place, state: ServiceState, release: str) -> LedgerEntry | None:
    """The order of a person to go back from the release: here, and not done, or in the last environment, whose users do
    not get it any more."""
    entries = release_entries(place.ledger, release)
    number = state.traffic[place.environment].withdrawing
    here = next((entry for entry in entries if entry.sequence == number and entry.kind == Kind.ROLLBACK), None)
    last = state.traffic.get(LAST)
    if here or place.environment == LAST or last is None or last.release == release:
        return here
    begun = of_environment(LAST, ROLLBACK)
    return next(
        (
            entry
            for entry in reversed(entries)
            if step_of(entry.key) == begun and entry.sequence > state.traffic[place.environment].order
        ),
        None,
    )


def _is_withdrawn(place: _Place, release: str) -> bool:
    """Whether the record has it that the release was taken out of use here."""
    key = str(FactKey(release, of_environment(place.environment, WITHDRAWN)))
    return any(entry.key == key for entry in release_entries(place.ledger, release))


def _withdrawn_last(entry: LedgerEntry) -> bool:
    key = FactKey.parse(entry.key)
    return key is not None and key.step == of_environment(LAST, WITHDRAWN) and not key.outcome
