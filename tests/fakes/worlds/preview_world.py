"""Previews of a service whose production serves a release: the trial namespace, the record, and a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml
from nightferry.entities.candidate import Candidate, PinnedSource
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.preview import Preview
from nightferry.entities.probe_report import Fault, ProbeReport
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import NightferryError
from nightferry.manifests.trial import NAMESPACE
from nightferry.sandbox.kubernetes.cluster_objects import MANIFESTS
from nightferry.steps.judging.reach_release import Probe
from nightferry.steps.record.preview_record import record_pinned
from nightferry.steps.record.record import record_step
from nightferry.steps.record.state import read_state
from nightferry.steps.trial.previews.bring_up import bring_up
from nightferry.steps.trial.previews.end import end_over, end_preview

from tests.fakes.a_diff import a_diff
from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.worlds.rollout_world import SPEC, World, image, model

RELEASE = "digits-2026-11-21.1"
PRODUCTION = {"name": "production", "namespace": "production"}
KINDS = ("Job", "Pod", "Service", "NetworkPolicy", "Deployment", "Lease", "PodDisruptionBudget")
"""All kinds that anything of Nightferry's makes in the trial namespace."""


class Previews:
    """Asks for previews, brings them up, ends them."""

    def __init__(self, *, quotas: bool = True) -> None:
        self.world = World()
        self.clock, self.ledger = self.world.clock, self.world.ledger
        self.world.roll_out(RELEASE, **PRODUCTION)
        self.world.verify(RELEASE, **PRODUCTION)
        self.trial = MemoryCluster(self.clock, NAMESPACE)
        self.fault: Fault | None = None
        self.compare: Callable[[RolloutPlan], PredictionDiff | None] = lambda plan: a_diff(candidate=plan.release)
        if quotas:
            for one in yaml.safe_load_all((MANIFESTS / "cluster" / "trial.yaml").read_text(encoding="utf-8")):
                if one["kind"] == "ResourceQuota":
                    self.trial.create(one)

    def ask(self, run: str = "one", hours: int = 8, service: str = "digits", tested: bool = True) -> str:
        """Pin a preview, and write down that it was built and tested; its name."""
        candidate = Candidate(
            service=service,
            model=model("digits-2026-11-22.1"),
            source=PinnedSource(repository=".", ref="main", commit="c" * 40, tree="d" * 40, path="serving_app"),
            base_image=image("base"),
            recipe="e" * 64,
        )

        def numbered(name: str) -> Preview:
            return Preview(
                preview=name, service=service, actor="ana", hours=hours, candidate=candidate, spec=_spec(service)
            )

        entry = record_pinned(self.ledger, self.clock, service, f"run:{run}", numbered)
        made = Preview.model_validate(entry.data)
        decision = made.decision(f"run:{run}")
        self.step(decision, "build_image", {"candidate_image": image(made.preview)})
        if tested:
            self.step(decision, "test_image", {"checked": 7})
        return made.preview

    def step(self, decision: Any, name: str, data: dict[str, Any]) -> None:
        record_step(self.ledger, self.clock, decision, name, sentence=f"{name} is done.", data=data)

    def bring_up(self, preview: str) -> LedgerEntry:
        return bring_up(
            preview,
            cluster=self.trial,
            ledger=self.ledger,
            prepare=self._prepare,
            compare=lambda plan: self.compare(plan),
            clock=self.clock,
        )

    def up(self, run: str = "one", hours: int = 8, service: str = "digits") -> str:
        preview = self.ask(run, hours, service)
        self.bring_up(preview)
        return preview

    def end(self, preview: str, why: str = "") -> LedgerEntry:
        return end_preview(preview, cluster=self.trial, ledger=self.ledger, clock=self.clock, actor="bo", why=why)

    def end_over(self) -> list[str]:
        return end_over(self.trial, self.ledger, self.clock)

    def open(self, service: str = "digits") -> list[str]:
        return [one.preview for one in read_state(self.ledger, service).previews]

    def entries(self, preview: str) -> list[tuple[str, str]]:
        """Key and reason of what the record says of a preview, without the steps of its image."""
        found = [one for one in self.world.entries() if one.kind == Kind.PREVIEW and one.data.get("preview") == preview]
        return [(one.key, one.reason) for one in found if "step" not in one.data]

    def left(self) -> list[tuple[str, str]]:
        """All objects of the trial namespace but its quotas."""
        self.trial.settle()
        return sorted((kind, name) for kind, name in self.trial.objects if kind != "ResourceQuota")

    def failing(self, fault: NightferryError) -> Callable[[RolloutPlan], PredictionDiff | None]:
        def compare(plan: RolloutPlan) -> PredictionDiff | None:
            raise fault

        return compare

    def _prepare(self, plan: RolloutPlan) -> Probe:
        def probe(address: str) -> ProbeReport:
            return ProbeReport(faults=(self.fault,) if self.fault else (), checked=7, seconds=0.1)

        return probe


def _spec(service: str) -> dict[str, Any]:
    return {**SPEC, "service": service}
