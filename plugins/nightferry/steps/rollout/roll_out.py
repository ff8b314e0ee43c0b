"""Roll out: the release beside the one in use, asked through its candidate Service, then the users: all at once, or by
the shares of a canary first.

`verify_release` follows in the same process: whoever moves the traffic answers for it, fetches everything that it needs
to judge beforehand, and goes back by itself when what it sees is wrong.

Everything that was done is read from the cluster, so doing it again after any interruption goes on where it stopped
and ends in the same one rollout. What fails before the switch takes away what this release made, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.frozen import Frozen
from nightferry.entities.judging.prediction_diff import DIFF, PredictionDiff
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_file.strategy import CANARY
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import names
from nightferry.steps.judging.prediction_gates import refuse_failed, summary
from nightferry.steps.judging.reach_release import Address, AskVersion, Probe, await_release, proof, refuse_faults
from nightferry.steps.record.canary_record import CanaryRecord, since
from nightferry.steps.record.rollout_record import ROLL_OUT, record_success, record_trouble
from nightferry.steps.rollout.await_ready import CRASHED, Crashed, counted
from nightferry.steps.rollout.fence import Orders, refuse_superseded
from nightferry.steps.rollout.follow_route import follow
from nightferry.steps.rollout.own_objects import refuse_other_environment
from nightferry.steps.rollout.settle_releases import settle
from nightferry.steps.rollout.strategies.canary import Judges, bring_by_shares, refuse_unjudged
from nightferry.steps.rollout.strategies.kubernetes import KubernetesTarget
from nightferry.steps.rollout.strategies.take_back import take_back
from nightferry.steps.rollout.switch_service import in_use

log = logging.getLogger(__name__)
Judging = Callable[[Manifest], Judges]
"""What judges a release that has users, beside the one that this Service points to."""
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
    judging: Judging | None = None,
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
        judging: prepares what judges the steps of a canary; None: there is nothing, and a canary is refused.

    Raises:
        Permanent: (rollout_superseded, rollout_not_ready, rollout_refused, verify_golden_wrong, verify_wrong_release,
            image_contract_broken, gate_flips, gate_p95, figures_wrong, no_figures, withdrawn, ledger_behind,
            cluster_denied, storage_denied)
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
            judges = attempt.judges(stable, judging, ledger)
            attempt.target.bring_up()
            attempt.check(candidate(), probe, ask)
            attempt.judge(stable, compare)
            attempt.share(judges, ledger)
        previous = attempt.target.give_all()
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
        self._plan, self._cluster, self._clock = plan, cluster, clock
        self.target = KubernetesTarget(plan, cluster, orders, clock)
        self.report: dict[str, Any] = {}
        """How the answers differ from those of the one in use, for the record, whatever becomes of the attempt."""
        self.said = ""
        """The same in a sentence."""

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

    def judges(self, stable: Manifest | None, judging: Judging | None, ledger: LedgerStore) -> Judges | None:
        """What judges the steps of a canary, before anything is made; None where there is no canary: users of a first
        release have nothing else."""
        if self._plan.environment.strategy.kind != CANARY or not in_use(stable) or stable is None:
            return None
        self._refuse_judged(ledger)
        judges = judging(stable) if judging else None
        refuse_unjudged(self._plan, judges)
        return judges

    def share(self, judges: Judges | None, ledger: LedgerStore) -> None:
        """Give users to the release by shares, each judged."""
        if judges is None:
            return
        record = CanaryRecord(ledger, self._clock, self._plan)
        legs = bring_by_shares(self._plan, target=self.target, judges=judges, record=record, clock=self._clock)
        if legs:
            shares = ", then ".join(f"{leg.share} %" for leg in legs)
            self.said = " ".join(filter(None, [self.said, f"It was right with {shares} of the users before."]))

    def _end_leg(self, ledger: LedgerStore, fault: BaseException) -> None:
        """A share that an earlier deployer gave is taken back by now: say so, where no step said it."""
        if self._plan.environment.strategy.kind != CANARY:
            return
        record = CanaryRecord(ledger, self._clock, self._plan)
        with suppress(NightferryError):  # whoever retires releases ends what nobody watches over
            leg = record.newest()
            if leg and leg.stands:
                seconds = since(leg, self._clock)
                record.ended(leg, _named(self._plan, fault), seconds, None, leg.seconds - seconds)

    def _refuse_judged(self, ledger: LedgerStore) -> None:
        """Refuse a release that was taken back from a share of the users, and finish that where it was not done."""
        record = CanaryRecord(ledger, self._clock, self._plan)
        order = record.refuse_withdrawn()
        if order is not None:  # whoever judged it was killed
            why = Permanent(order.reason, order.sentence)
            take_back(self._plan, why, order.data, target=self.target, ledger=ledger, clock=self._clock)
            record.refuse_withdrawn()

    def undo(self, ledger: LedgerStore, fault: BaseException) -> None:
        """Take away what this release made, unless users are sent to it, and record why."""
        plan = self._plan
        removed = False
        try:
            self.target.take_back()  # users first
            removed = self.target.remove()
            follow(self._cluster, plan.service, plan.environment, self._clock)
        except NightferryError as second:
            log.warning("What %s made in %s could not be removed: %s", plan.release, plan.environment.name, second)
        self._end_leg(ledger, fault)
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
