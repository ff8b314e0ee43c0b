"""Write on the record which share of the users a canary gets, and what became of it.

The share is written before anybody gets it. The record is the arbiter between a deployer that was away for long and
whoever cleared up after it: a leg follows the very leg that its writer knows, or nothing is written.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.fact_key import (
    CANARY,
    CANARY_ENDED,
    CANARY_PASSED,
    ROLLBACK,
    WITHDRAWAL,
    WITHDRAWN,
    FactKey,
    of_environment,
    step_of,
)
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.state.canary import Canary, met
from nightferry.entities.state.service_state import ServiceState
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import state_of

GRACE = dt.timedelta(minutes=5)
"""So long after a leg's time the deployer of a canary may still be looking, or be started again."""


@dataclass(frozen=True)
class CanaryRecord:
    """What the record says of one release's canary in one environment. Everything raises as `append_with`."""

    ledger: LedgerStore
    clock: Clock
    plan: RolloutPlan

    def newest(self) -> Canary | None:
        """The newest leg of this release's canary; None: it has begun none, or another release's came after it."""
        found = canary_in(state_of(Chain(self.ledger, self.plan.service)), self.plan.environment.name)
        return found if found and found.release == self.plan.release else None

    def begin(self, before: Canary | None, step: int, share: int, seconds: float, steps: int) -> Canary:
        """Write that a share of the users is to get the release for so long.

        Args:
            before: the leg that this one follows, as it was read.
            step: which step of the strategy, from 1.
            share: percent.
            seconds: how long.
            steps: how many there are.

        Raises:
            Permanent: (withdrawn) it was taken back; (rollout_superseded) a release that was ordered later has a
                canary, or somebody else went on with this one.
        """
        where = self.plan.environment.name

        def make(chain: Chain) -> LedgerEntry | dict[str, Any]:
            now = canary_in(state_of(chain), where)
            self._refuse(chain, now)
            known = now if now and now.release == self.plan.release else None
            if known != before:
                raise self._gone_on()
            number = 1 + self._legs(chain)
            canary = Canary(
                release=self.plan.release,
                order=self.plan.order,
                number=number,
                step=step,
                steps=steps,
                share=share,
                seconds=round(seconds, 1),
                since="",
            )
            sentence = (
                f"{where} gives {self.plan.release} {share} % of its users for {seconds:g} s (step {step} of {steps})."
            )
            data = {"canary": canary.model_dump(mode="json", include=_WRITTEN)}
            return self._facts(CANARY, number, Reason.CANARY_SHIFTED, sentence, data)

        entry = ledgers.append_with(self.ledger, self.clock, self.plan.service, make)
        return Canary.model_validate({**entry.data["canary"], "since": entry.time})

    def passed(self, canary: Canary, sentence: str, data: dict[str, Any]) -> Canary:
        """Write that the leg was judged right; the leg as it is then.

        Raises:
            Permanent: (rollout_superseded) somebody ended it meanwhile.
        """
        done = canary.model_copy(update={"passed": True})
        facts = self._facts(CANARY_PASSED, canary.number, Reason.CANARY_PASSED, sentence, data)

        def make(chain: Chain) -> LedgerEntry | dict[str, Any]:
            now = canary_in(state_of(chain), self.plan.environment.name)
            if now == done:
                return chain.find(facts["key"]) or facts
            if now != canary:
                raise self._gone_on()
            return facts

        ledgers.append_with(self.ledger, self.clock, self.plan.service, make)
        return done

    def ended(self, canary: Canary, why: NightferryError, seconds: float, requests: int | None, left: float) -> None:
        """Write that nobody gets the release any more, although it was not judged wrong."""
        sentence = f"{self.plan.environment.name} gives {self.plan.release} no share any more: {why.sentence}"
        data = met(canary, seconds, requests) | {"left": round(max(0.0, left), 1)}
        self._append(CANARY_ENDED, canary.number, why.reason, sentence, data)

    def refuse_withdrawn(self) -> LedgerEntry | None:
        """The order to take this release back, where it was written and is not carried out.

        Raises:
            Permanent: (withdrawn) it was carried out.
        """
        where, found = self.plan.environment.name, None
        for entry in Chain(self.ledger, self.plan.service):
            if entry.release != self.plan.release:
                continue
            step = step_of(entry.key)
            if step == of_environment(where, WITHDRAWN) and entry.reason == Reason.WITHDRAWN:
                raise self._taken_back()
            if step == of_environment(where, WITHDRAWAL):
                found = entry
            if entry.kind == Kind.DECISION:
                break
        return found

    def _refuse(self, chain: Chain, now: Canary | None) -> None:
        where = self.plan.environment.name
        if now and now.release != self.plan.release and now.stands and now.order > self.plan.order:
            raise Permanent(
                Reason.ROLLOUT_SUPERSEDED,
                f"{self.plan.release} was ordered before {now.release}, which has {now.share} % of the users of "
                f"{where}; nothing was changed.",
            )
        ends = {of_environment(where, step) for step in (WITHDRAWAL, ROLLBACK)}
        for entry in chain:
            if entry.release == self.plan.release and step_of(entry.key) in ends:
                raise self._taken_back()
            if entry.kind == Kind.DECISION and entry.release == self.plan.release:
                return

    def _gone_on(self) -> Permanent:
        return Permanent(
            Reason.ROLLOUT_SUPERSEDED,
            f"Somebody else ended the canary of {self.plan.release} in {self.plan.environment.name}, or went on with "
            "it, while this deployer was away; it leaves it alone.",
        )

    def _taken_back(self) -> Permanent:
        return Permanent(
            Reason.WITHDRAWN,
            f"{self.plan.release} was taken back from the users of {self.plan.environment.name}; nothing was changed. "
            "Release again to try once more.",
        )

    def _legs(self, chain: Chain) -> int:
        count, step = 0, of_environment(self.plan.environment.name, CANARY)
        for entry in chain:
            count += entry.release == self.plan.release and step_of(entry.key) == step
            if entry.kind == Kind.DECISION and entry.release == self.plan.release:
                break
        return count

    def _append(self, step: str, number: int, reason: str, sentence: str, data: dict[str, Any]) -> None:
        facts = self._facts(step, number, reason, sentence, data)
        ledgers.append(self.ledger, self.clock, service=self.plan.service, **facts)

    def _facts(self, step: str, number: int, reason: str, sentence: str, data: dict[str, Any]) -> dict[str, Any]:
        environment = self.plan.environment
        key = FactKey(self.plan.release, of_environment(environment.name, step), attempt=number)
        named = {"step": key.step, "environment": environment.name, "namespace": environment.namespace}
        return {
            "kind": Kind.ROLLOUT,
            "key": str(key),
            "release": self.plan.release,
            "actor": self.plan.actor,
            "reason": reason,
            "sentence": sentence,
            "data": {**named, **data},
        }


_WRITTEN = {"release", "order", "number", "step", "steps", "share", "seconds"}


def canary_in(state: ServiceState, environment: str) -> Canary | None:
    """The newest leg of an environment's canary."""
    traffic = state.traffic.get(environment)
    return traffic.canary if traffic else None


def since(canary: Canary, clock: Clock) -> float:
    """Seconds since the leg began."""
    return (clock.now() - dt.datetime.fromisoformat(canary.since)).total_seconds()


def abandoned(canary: Canary, clock: Clock) -> bool:
    """Whether the leg stands although nobody can be looking any more: its deployer would have gone on or back."""
    return canary.stands and since(canary, clock) > canary.seconds + GRACE.total_seconds()
