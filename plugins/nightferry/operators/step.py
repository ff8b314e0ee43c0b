"""What the tasks that run one step in Airflow's own process have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator

from nightferry import settings
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.entities.decision import Decision
from nightferry.entities.service_spec import ServiceSpec
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.operators.failures import reported
from nightferry.operators.of_service import OfService
from nightferry.operators.run_facts import DECISION, read_decision
from nightferry.steps.image.request import Sources
from nightferry.steps.model.fetch_model import fetch_model
from nightferry.steps.record.record import record_step


@dataclass(frozen=True)
class Outcome:
    """What a step found."""

    sentence: str
    """For people, on the record."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For programs, on the record and in XCom."""
    passed_on: Mapping[str, Any] = field(default_factory=dict)
    """For the tasks after it, in XCom alone."""


class StepOperator(OfService, BaseOperator):
    """Runs one step of a release, and writes on the record what it did."""

    template_fields: Sequence[str] = ("decision",)

    def __init__(
        self,
        *,
        spec: ServiceSpec | None = None,
        decision: str = DECISION,
        storage_conn_id: str = STORAGE,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._spec = spec
        self.decision = decision
        self.storage_conn_id = storage_conn_id

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the step; its facts become the task's XCom."""
        with reported(context):
            decision, clock = read_decision(self.decision), SystemClock()
            self.serve(decision)
            if decision.image:
                self.log.info("Not needed: %s is rolled out again with new settings", decision.image)
                return {}
            began = clock.monotonic()
            outcome = self.step(decision)
            record_step(
                StorageHook(self.storage_conn_id).ledger_store(),
                clock,
                decision,
                self.task_id,
                sentence=outcome.sentence,
                seconds=clock.monotonic() - began,
                data=dict(outcome.facts),
            )
            self.log.info("%s", outcome.sentence)
        return {**outcome.facts, **outcome.passed_on}

    @abstractmethod
    def step(self, decision: Decision) -> Outcome:
        """Do the work. Raises `nightferry.errors`."""


def sources(now: settings.Settings, spec: ServiceSpec, storage_conn_id: str) -> Sources:
    """Where the parts of a service's image come from."""
    locks = StorageHook(storage_conn_id).locks(spec)
    return Sources(connect.source(now, spec.source), locks, now.root, now.work)


def present_model(folder: str, decision: Decision, spec: ServiceSpec, storage_conn_id: str) -> Path:
    """The fetched model's folder; on a worker that does not have it, it is fetched there."""
    if folder and Path(folder).is_dir():
        return Path(folder)
    return fetch_model(decision.candidate.model, StorageHook(storage_conn_id).models(spec.model), settings.load().work)
