"""The task that downloads the pinned model."""

from __future__ import annotations

from nightferry import settings
from nightferry.entities.decision import Decision
from nightferry.hooks.storage import StorageHook
from nightferry.operators.step import Outcome, StepOperator
from nightferry.steps.model.fetch_model import fetch_model
from nightferry.steps.model.model_folder import read_manifest


class FetchModelOperator(StepOperator):
    """Downloads the model version that was decided on, complete and verified."""

    def step(self, decision: Decision) -> Outcome:
        """Fetch the model, and pass on its folder."""
        model = decision.candidate.model
        models = StorageHook(self.storage_conn_id).models(self.spec.model)
        folder = fetch_model(model, models, settings.load().work)
        manifest, _ = read_manifest(folder)
        return Outcome(
            f"Model {model.version}: {len(manifest.files)} files, {model.size:,} bytes, every checksum right.",
            {"model": model.version, "sha256": model.sha256, "bytes": model.size},
            {"folder": str(folder)},
        )
