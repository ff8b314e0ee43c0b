"""The task that finds out which part of a release a gate failed for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowTaskTimeout
from pydantic import ValidationError

from nightferry import settings
from nightferry.clients.clock import SystemClock
from nightferry.entities.candidate import Candidate
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.entities.release_steps import expected_steps
from nightferry.errors import Temporary
from nightferry.hooks.buildkit import BUILDKIT, BuildKitHook
from nightferry.hooks.registry import RegistryHook
from nightferry.hooks.storage import StorageHook
from nightferry.operators.failures import FAILURE, reported
from nightferry.operators.image.candidate import ASKED, Asking, CandidateOperator, Started
from nightferry.operators.run_facts import NOTHING, read_decision
from nightferry.operators.step import sources
from nightferry.steps.blame.laboratory import Bench
from nightferry.steps.blame.look_into import Release, give_up, look_into, release_to_blame
from nightferry.steps.image import build_image as building
from nightferry.steps.judging.answers import Answers
from nightferry.steps.model.fetch_model import fetch_model

SECONDS = 600.0
"""After which no other combination is begun."""
FAILED = "failed"


class BlameOperator(CandidateOperator):
    """Tries old and new code with old and new model, and writes down who is guilty; give it the trigger rule
    `one_failed`.

    It ends well whatever it finds: the release has failed already. It changes nothing in any cluster.
    """

    def __init__(self, *, buildkit_conn_id: str = BUILDKIT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.buildkit_conn_id = buildkit_conn_id

    def execute(self, context: Any) -> Any:
        """Find out, and return the blame; None where no gate failed."""
        if self.decision in NOTHING:
            return None
        with reported(context):
            decision, clock = read_decision(self.decision), SystemClock()
            ledger = StorageHook(self.storage_conn_id).ledger_store()
            about = release_to_blame(decision, self.spec, list(self._failures(context["ti"])), ledger)
            if about is None:
                self.log.info("No gate has failed: there is nobody to blame.")
                return None
            bench = Bench(_Laboratory(self, context, about), clock, SECONDS)
            try:
                blame = look_into(about, bench, ledger, clock)
            except AirflowTaskTimeout:
                blame = give_up(about, "it took too long.", ledger, clock)
        self.log.info("%s", blame.told)
        return blame.to_json()

    def _failures(self, ti: Any) -> Iterator[tuple[str, str, str]]:
        """The steps that failed for good, in their order: step, reason, sentence."""
        states = {crumb["task_id"]: crumb["state"] for crumb in ti.get_task_breadcrumbs(ti.dag_id, ti.run_id)}
        for step in expected_steps([environment.name for environment in self.spec.environments]):
            note = ti.xcom_pull(task_ids=step, key=FAILURE) if states.get(step) == FAILED else None
            if note and note["permanent"]:
                yield step, note["reason"], note["sentence"]


class _Laboratory:
    """Where the combinations are built and asked: this installation's builder and engine."""

    def __init__(self, operator: BlameOperator, context: Any, about: Release) -> None:
        self._operator, self._context, self._about = operator, context, about

    def image(self, candidate: Candidate) -> ImageRef:
        """Find the image, or build it, for the candidates' repository."""
        about, operator, now = self._about, self._operator, settings.load()
        if candidate == about.old_candidate:  # what is in use is never made anew
            return ImageRef.parse(about.old_image)
        registry = RegistryHook(operator.registry_conn_id)
        changes = {"candidate": candidate, "release": f"{about.decision.release}-blame"}
        built = building.build_image(
            decision=about.decision.model_copy(update=changes),
            spec=about.spec,
            model_folder=self._model(candidate),
            builder=BuildKitHook(operator.buildkit_conn_id).builder(registry),
            registry=registry.registry(),
            sources=sources(now, about.spec, operator.storage_conn_id),
            clock=SystemClock(),
        )
        return ImageRef.parse(built.image)

    def probe(self, candidate: Candidate, image: ImageRef) -> None:
        """Ask it its own golden examples and checks."""
        self._operator.tested(self._context, self._started(candidate, image), SystemClock())

    def answers(self, candidate: Candidate, image: ImageRef) -> Answers:
        """Have it answer the golden examples and checks of what failed."""
        new, started = self._about.decision.candidate, self._started(candidate, image)
        checks = [one.to_json() for one in new.app.checks] if new.app else []
        words = ("--asked", ASKED, "--checks", json.dumps(checks))
        asking = Asking("answer", words, self._model(new))
        with self._operator.asked(self._context, started, SystemClock(), asking) as (_, output, _):
            told = output.strip().rpartition("\n")[2]
        try:
            return Answers.model_validate_json(told)
        except ValidationError as fault:
            raise Temporary(Reason.DOCKER_UNAVAILABLE, "The prober ended without telling what was answered.") from fault

    def _started(self, candidate: Candidate, image: ImageRef) -> Started:
        release = str(self._about.decision.release)
        return Started(candidate, image, self._model(candidate), f"nf-blame-{release}", release, self._about.spec)

    def _model(self, candidate: Candidate) -> Path:
        models = StorageHook(self._operator.storage_conn_id).models(self._about.spec.model)
        return fetch_model(candidate.model, models, settings.load().work)
