"""The task that tests the image: the very image, started as production starts it, has to answer rightly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightferry.clients.clock import Clock, SystemClock
from nightferry.entities.decision import Decision
from nightferry.entities.image_ref import ImageRef
from nightferry.hooks.storage import StorageHook
from nightferry.operators.failures import reported
from nightferry.operators.image.candidate import CandidateOperator, Started
from nightferry.operators.model.check_model import MODEL_FOLDER
from nightferry.operators.run_facts import left_nothing, read_decision
from nightferry.operators.step import present_model
from nightferry.steps.image import test_image as tests
from nightferry.steps.record.record import record_step

CANDIDATE = "{{ (ti.xcom_pull(task_ids='build_image') or {}).get('candidate_image', '') }}"
"""The template of a field that holds the built image."""


class TestImageOperator(CandidateOperator):
    """Starts the built image, and asks it everything once."""

    __test__ = False  # the name starts like a test class's; pytest must not collect it
    template_fields: Sequence[str] = (*CandidateOperator.template_fields, "candidate", "model_folder")

    def __init__(self, *, candidate: str = CANDIDATE, model_folder: str = MODEL_FOLDER, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.candidate = candidate
        self.model_folder = model_folder

    def execute(self, context: Any) -> Any:
        """Test the candidate, and pass on the tested image."""
        with reported(context):
            decision, clock = read_decision(self.decision), SystemClock()
            self.serve(decision)
            if decision.image:
                self.log.info("Not needed: %s is rolled out again with new settings", decision.image)
                return {}
            began = clock.monotonic()
            tested = self._test(context, decision, clock)
            record_step(
                StorageHook(self.storage_conn_id).ledger_store(),
                clock,
                decision,
                self.task_id,
                sentence=f"{tested.checked} answers of the running image are right.",
                seconds=clock.monotonic() - began,
                data={"checked": tested.checked},
            )
        return tested.to_json()

    def _test(self, context: Any, decision: Decision, clock: Clock) -> tests.TestedImage:
        folder = present_model(self.model_folder, decision, self.spec, self.storage_conn_id)
        if not self.candidate:
            raise left_nothing("build_image")
        release = str(decision.release)
        started = Started(
            decision.candidate,
            ImageRef.parse(self.candidate),
            folder,
            tests.candidate_name(release),
            release,
            self.spec,
        )
        return self.tested(context, started, clock)
