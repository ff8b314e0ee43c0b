"""Roll out: a Deployment of the release beside the one in use, asked through its candidate Service, then the switch.

`verify_release` follows in the same process: whoever moves the traffic answers for it, fetches everything that it needs
to judge beforehand, and goes back by itself when what it sees is wrong.

Everything that was done is read from the cluster, so doing it again after any interruption goes on where it stopped
and ends in the same one rollout. What fails before the switch takes away what this release made, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.cluster import Cluster, Manifest
from nightferry.clients.ledger_store import LedgerStore
from nightferry.entities.frozen import Frozen
from nightferry.entities.judging.prediction_diff import DIFF, PredictionDiff
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import names, policies
from nightferry.manifests import service as services
from nightferry.manifests.deployment import deployment as deployment_of
from nightferry.manifests.deployment import wanted_replicas
from nightferry.steps.judging.prediction_gates import refuse_failed, summary
from nightferry.steps.judging.reach_release import Address, AskVersion, Probe, await_release, proof, refuse_faults
from nightferry.steps.record.rollout_record import ROLL_OUT, record_success, record_trouble
from nightferry.steps.rollout.await_ready import CRASHED, Crashed, await_ready, counted
from nightferry.steps.rollout.check_quota import await_quota
from nightferry.steps.rollout.fence import Orders, refuse_superseded
from nightferry.steps.rollout.follow_route import follow, make_known
from nightferry.steps.rollout.own_objects import apply_own, refuse_alien, refuse_other_environment
from nightferry.steps.rollout.remove_release import remove_release
from nightferry.steps.rollout.settle_releases import mark_served, mark_switching, settle
from nightferry.steps.rollout.switch_service import in_use, switch_forward

log = logging.getLogger(__name__)
Compare = Callable[[Manifest], PredictionDiff]
"""Compares the candidate with the release that this Service points to, and says what the gates came to."""


class RolledOut(Frozen):
    """A rollout that is done: users are sent to the release."""

    release: str
    previous: str
    """The release that was in use before; empty for none."""
    pods: int
    seconds: float


def roll_out(
    plan: RolloutPlan,
    *,
    cluster: Cluster,
    candidate: Address,
    prepare: Callable[[], Probe],
    ask: AskVersion,
    compare: Compare,
    ledger: LedgerStore,
    orders: Orders,
    clock: Clock,
) -> RolledOut:
    """Bring the plan's release into use in its environment; `verify_release` is to follow in the same process.

    Args:
        plan: what to roll out, and where.
        cluster: the environment's namespace.
        candidate: gives `http://…` of the candidate Service, once that exists.
        prepare: fetches the golden examples, and gives what asks them, and the contract, of an address.
        ask: asks /version of an address.
        compare: asks the candidate and the one in use the same, where the service file has gates for that.
        ledger: where the rollout is recorded.
        orders: what the record knows of orders.
        clock: for waits and times.

    Raises:
        Permanent: (rollout_superseded, rollout_not_ready, rollout_refused, verify_golden_wrong, verify_wrong_release,
            image_contract_broken, gate_flips, gate_p95, ledger_behind, cluster_denied, storage_denied)
        Temporary: (cluster_unavailable, verify_unreachable, rollout_not_ready, storage_unavailable)
    """
    start = clock.monotonic()
    attempt = _Attempt(plan, cluster, orders, clock)
    try:
        stable = cluster.get("Service", plan.service)
        refuse_other_environment(stable, plan.service, plan.environment.name)
        if in_use(stable) != plan.release:
            refuse_superseded(stable, plan.release, plan.order, orders)
            probe = prepare()  # without golden examples nothing is to be touched
            attempt.bring_up(in_use(stable))
            attempt.check(candidate(), probe, ask)
            attempt.judge(stable, compare)
        previous = attempt.switch()
    except BaseException as fault:
        attempt.undo(ledger, fault)
        raise
    follow(cluster, plan.service, plan.environment, clock)
    settle(cluster, plan.service, plan.environment, plan.release, clock)
    pods = cluster.get("Deployment", names.object_name(plan.release)) or {}
    done = RolledOut(
        release=plan.release,
        previous=previous,
        pods=int((pods.get("status") or {}).get("readyReplicas") or 0),
        seconds=round(clock.monotonic() - start, 1),
    )
    sentence = " ".join(filter(None, [_sentence(plan, done), attempt.said]))
    record_success(ledger, clock, plan, ROLL_OUT, sentence, done.to_json() | attempt.report)
    log.info("%s is in use in %s (%.1f s).", done.release, plan.environment.name, done.seconds)
    return done


class _Attempt:
    """One attempt at a rollout, up to the switch."""

    def __init__(self, plan: RolloutPlan, cluster: Cluster, orders: Orders, clock: Clock) -> None:
        self._plan, self._cluster, self._orders, self._clock = plan, cluster, orders, clock
        self._mark = ""
        self.report: dict[str, Any] = {}
        """How the answers differ from those of the one in use, for the record, whatever becomes of the attempt."""
        self.said = ""
        """The same in a sentence."""

    def bring_up(self, current: str) -> None:
        """Make the release's objects where they are not there yet, and wait for its pods."""
        plan, cluster = self._plan, self._cluster
        wanted = self._replicas(current)
        await_quota(cluster, deployment_of(plan, wanted), clock=self._clock)
        apply_own(cluster, plan.service, policies.network_policy(plan.service))
        made = self._deployment(wanted)
        apply_own(cluster, plan.service, policies.disruption_budget(made))
        if plan.environment.egress:
            apply_own(cluster, plan.service, policies.egress(made, plan.environment.egress))
        apply_own(cluster, plan.service, services.candidate(plan.service, names.identity(plan)))
        pods = await_ready(
            cluster, plan.service, plan.release, seconds=plan.environment.ready_seconds, clock=self._clock
        )
        make_known(cluster, plan.service, plan.environment, plan.release, self._clock)
        log.info("%s is ready in %s with %s.", plan.release, cluster.namespace, counted(len(pods)))

    def _deployment(self, wanted: int) -> Manifest:
        plan, cluster = self._plan, self._cluster
        name = names.object_name(plan.release)
        found = cluster.get("Deployment", name)
        if found is None:
            log.info("Making Deployment %s in %s from %s.", name, cluster.namespace, plan.image)
            return cluster.apply(deployment_of(plan, wanted))
        refuse_alien(found, plan.service)
        if names.annotations_of(found).get(names.IMAGE) != plan.image:
            raise Permanent(
                Reason.ROLLOUT_REFUSED,
                f"Deployment {name} in {cluster.namespace} exists with another image than {plan.image}; "
                "a release has one image: find out who made it.",
            )
        if found["spec"].get("replicas", 1) < wanted:  # scaled to zero since, or the one in use has grown
            return cluster.patch("Deployment", name, {"spec": {"replicas": wanted}}) or found
        return found

    def _replicas(self, current: str) -> int:
        """How many pods the release starts with: where load decides, as many as the one in use has grown to."""
        environment = self._plan.environment
        wanted = wanted_replicas(environment)
        if not environment.autoscale or not current:
            return wanted
        found = self._cluster.get("Deployment", names.object_name(current))
        has = int(found["spec"].get("replicas", 1)) if found else 0
        return max(wanted, min(has, environment.autoscale.maximum))

    def check(self, address: str, probe: Probe, ask: AskVersion) -> None:
        """Ask the new pods, which nobody uses yet, through their candidate Service."""
        await_release(address, proof(self._plan.app, names.passport(self._plan)), ask, self._clock)
        report = probe(address)
        refuse_faults(address, report)
        log.info("%s answers %d checks rightly at %s.", self._plan.release, report.checked, address)

    def judge(self, stable: Manifest | None, compare: Compare) -> None:
        """Hold the candidate's answers against those of the release in use, where the service file asks for that."""
        gates = self._plan.gates
        if not gates:
            return
        if stable is None or not in_use(stable):
            named = " and ".join(f"{name} {gate}" for name, gate in gates.items())
            self.said = f"No release was in use to be compared with, so {named} did not apply."
            return
        diff = compare(stable)
        self.report = {DIFF: diff.to_json()}
        self.said = summary(diff)
        refuse_failed(diff)
        log.info(self.said)

    def switch(self) -> str:
        """Point the Service to the release; the one before."""
        plan, cluster = self._plan, self._cluster
        current = in_use(cluster.get("Service", plan.service))
        if current != plan.release:
            if current:
                mark_served(cluster, current, self._clock)
            self._mark = mark_switching(cluster, plan.release, self._clock)
        return switch_forward(cluster, plan, self._orders, self._clock)

    def undo(self, ledger: LedgerStore, fault: BaseException) -> None:
        """Take away what this release made, unless users are sent to it, and record why."""
        plan = self._plan
        removed = False
        try:
            removed = remove_release(self._cluster, plan.service, plan.release, self._clock, mark=self._mark)
            follow(self._cluster, plan.service, plan.environment, self._clock)
        except NightferryError as second:
            log.warning("What %s made in %s could not be removed: %s", plan.release, plan.environment.name, second)
        more = self.report | ({CRASHED: True} if isinstance(fault, Crashed) else {})
        record_trouble(ledger, self._clock, plan, ROLL_OUT, _named(plan, fault), {"removed": removed} | more)


def _named(plan: RolloutPlan, fault: BaseException) -> NightferryError:
    if isinstance(fault, NightferryError):
        return fault
    if isinstance(fault, Exception):
        return Temporary(Reason.INTERNAL_ERROR, f"The rollout of {plan.release} met {type(fault).__name__}: {fault}")
    return Temporary(Reason.INTERRUPTED, f"The rollout of {plan.release} was interrupted; it can be repeated.")


def _sentence(plan: RolloutPlan, done: RolledOut) -> str:
    before = f" (before: {done.previous})" if done.previous else ""
    return f"{plan.environment.name} serves {plan.release}{before} from {counted(done.pods)}."
