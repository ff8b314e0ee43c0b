"""The bake: a release that all users get is watched for a time before it is called released."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.clients.doors.service_figures import ServiceFigures
from nightferry.entities.fact_key import CANARY_PASSED, of_environment, step_of
from nightferry.entities.judging.service_figures import Window
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.strategies.canary import IN_USE_WINDOW
from nightferry.steps.rollout.strategies.watch import Meter, watch


@dataclass(frozen=True)
class Bake:
    """How a release is watched; called with what looks at it once, it says what was found."""

    plan: RolloutPlan
    figures: ServiceFigures | None
    """None: nobody counts this service's requests, and its answers alone are watched."""
    ledger: LedgerStore
    clock: Clock

    def __call__(self, look: Callable[[], object]) -> str:
        """Watch for what is left of the time; empty where there is nothing to watch.

        The figures are held against those of the release before, as a canary's last step measured them, else against
        the limits alone.

        Raises:
            Permanent: what `look` raises; (figures_wrong, no_figures)   Temporary: (storage_unavailable)
        """
        strategy = self.plan.environment.strategy
        if not strategy.bake_minutes:
            return ""
        traffic = read_state(self.ledger, self.plan.service).traffic.get(self.plan.environment.name)
        if traffic is None or traffic.release != self.plan.release or traffic.verified:
            return ""
        end = dt.datetime.fromisoformat(traffic.since) + dt.timedelta(seconds=strategy.bake_seconds)
        meter = Meter(self.figures, self.plan.release, self._before(), strategy.limits) if self.figures else None
        watch(lambda: void(look()), meter, strategy.bake_seconds, end, self.clock)
        told = meter.verdict.sentence if meter and meter.verdict else "Nobody counts its requests."
        return f"It was watched with all the users for {strategy.bake_minutes:g} minutes. {told}"

    def _before(self) -> Window | None:
        """What users of the release before met during the canary's last step."""
        passed = of_environment(self.plan.environment.name, CANARY_PASSED)
        for entry in reversed(release_entries(self.ledger, self.plan.release)):
            if step_of(entry.key) == passed and entry.data.get(IN_USE_WINDOW):
                return Window.model_validate(entry.data[IN_USE_WINDOW])
        return None


def void(_: object) -> None:
    """What `look` says is not needed."""
