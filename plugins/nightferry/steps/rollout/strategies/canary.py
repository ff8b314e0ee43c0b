"""A canary: users come to a release by shares, each for a time and judged, before all of them do.

Every share is on the record before anybody gets it, so that a deployer that was killed is followed by one that goes on
in the same step with the time that is left. Nobody watches over users that are not on the record.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from nightferry.clients.clock import Clock
from nightferry.clients.doors.service_figures import ServiceFigures
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_file.strategy import CANARY, CanaryStep
from nightferry.entities.state.canary import Canary, met
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.steps.record.canary_record import CanaryRecord, since
from nightferry.steps.rollout.strategies.take_back import take_back
from nightferry.steps.rollout.strategies.target import Target
from nightferry.steps.rollout.strategies.watch import Meter, watch

VERDICTS = {
    Reason.VERIFY_GOLDEN_WRONG,
    Reason.VERIFY_WRONG_RELEASE,
    Reason.VERIFY_UNREACHABLE,
    Reason.IMAGE_CONTRACT_BROKEN,
    Reason.ROLLOUT_NOT_READY,
    Reason.FIGURES_WRONG,
    Reason.NO_FIGURES,
}
"""What takes a release back for good."""
IN_USE_WINDOW = "in_use_window"
"""The member of an entry with what the users of the release in use met during the step."""
log = logging.getLogger(__name__)
Look = Callable[[Sequence[str]], None]
"""Asks the release at each of these addresses, and the one in use the same: raises Permanent where it is wrong, and
Temporary where it could not be looked at."""


@dataclass(frozen=True)
class Judges:
    """What a release that has users is judged by."""

    look: Look
    figures: ServiceFigures | None
    """None: nobody counts this service's requests."""


def refuse_unjudged(plan: RolloutPlan, judges: Judges | None) -> None:
    """Raise Permanent (no_figures) for a canary whose users nobody counts."""
    if plan.environment.strategy.kind == CANARY and (judges is None or judges.figures is None):
        raise Permanent(
            Reason.NO_FIGURES,
            f"{plan.environment.name} of {plan.service} has a canary, but nobody counts its requests, so that no step "
            "could be judged. Let the app say its metrics, give the address of Prometheus or the gateway's figures, or "
            "take the strategy blue_green.",
        )


def bring_by_shares(
    plan: RolloutPlan, *, target: Target, judges: Judges, record: CanaryRecord, clock: Clock
) -> list[Canary]:
    """Take the release through all steps of its canary; the legs that this call went through.

    Raises:
        Permanent: what a step found (the release was taken back, and is not to return); rollout_superseded, withdrawn
        Temporary: it could not go on; its share was taken back, and the step is gone on with later.
        What interrupts it: as Temporary.
    """
    steps = plan.environment.strategy.steps
    now, legs = record.newest(), []
    for number, step in enumerate(steps, start=1):
        if now and (now.step > number or (now.step == number and now.passed)):
            continue
        leg = _Leg(plan, target, judges, record, clock)
        now = leg.run(now, number, step, len(steps))
        legs.append(now)
    return legs


class _Leg:
    """One share, for a time."""

    def __init__(self, plan: RolloutPlan, target: Target, judges: Judges, record: CanaryRecord, clock: Clock) -> None:
        self._plan, self._target, self._judges, self._record, self._clock = plan, target, judges, record, clock

    def run(self, now: Canary | None, number: int, step: CanaryStep, steps: int) -> Canary:
        same = now if now and now.step == number else None
        if same and same.stands:
            leg = same  # whoever began it was killed
        else:
            seconds = same.left if same and same.left else step.seconds
            leg = self._record.begin(now, number, step.share, seconds, steps)
        if self._judges.figures is None:
            raise Permanent(Reason.NO_FIGURES, "Nobody counts its requests.")
        limits = self._plan.environment.strategy.limits
        meter = Meter(self._judges.figures, self._plan.release, self._target.in_use(), limits)
        try:
            with suppress(Temporary):  # it begins with the first look that sees something
                meter.look(over=False)
            self._target.give(leg.share)
            end = dt.datetime.fromisoformat(leg.since) + dt.timedelta(seconds=leg.seconds)
            log.info("%s has %d %% of the users until %s.", leg.release, leg.share, f"{end:%H:%M:%S}")
            watch(self._look, meter, leg.seconds, end, self._clock)
        except BaseException as fault:
            self._stop(leg, fault, meter)
            raise
        return self._record.passed(leg, self._passed(leg, meter), self._found(meter))

    def _look(self) -> None:
        self._target.refuse_superseded()
        self._judges.look(self._target.endpoints())

    def _stop(self, leg: Canary, fault: BaseException, meter: Meter) -> None:
        """The share first; then what becomes of the release."""
        seconds = since(leg, self._clock)
        with suppress(NightferryError):  # it is tried again below, and by whoever looks next
            self._target.take_back()
        with suppress(NightferryError):
            meter.count()
        said = fault if isinstance(fault, NightferryError) else Temporary(Reason.INTERRUPTED, "its deployer was ended.")
        requests = meter.requests
        if isinstance(fault, Permanent) and fault.reason in VERDICTS:
            told = met(leg, seconds, requests) | meter.data
            with suppress(NightferryError):  # whoever looks next completes it
                take_back(self._plan, fault, told, target=self._target, ledger=self._record.ledger, clock=self._clock)
            return
        with suppress(NightferryError):
            self._record.ended(leg, said, seconds, requests, leg.seconds - seconds)

    def _passed(self, leg: Canary, meter: Meter) -> str:
        told = meter.verdict.sentence if meter.verdict else ""
        where = self._plan.environment.name
        return f"{leg.release} was right with {leg.share} % of the users of {where}. {told}".rstrip()

    def _found(self, meter: Meter) -> dict[str, object]:
        window = {IN_USE_WINDOW: meter.theirs.to_json()} if meter.theirs else {}
        return {**meter.data, **window, "requests": meter.requests}
