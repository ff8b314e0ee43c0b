"""The task that pins what a preview is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator
from pydantic import ValidationError

from nightferry import settings
from nightferry.clients.clock import SystemClock
from nightferry.clients.connect import source
from nightferry.entities.frozen import problems
from nightferry.entities.preview import Preview, PreviewRequest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.hooks.buildkit import BUILDKIT, BuildKitHook
from nightferry.hooks.cluster import open_cluster
from nightferry.hooks.registry import REGISTRY, RegistryHook
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.manifests.trial import NAMESPACE
from nightferry.operators.failures import reported
from nightferry.operators.run_facts import actor, decision_key
from nightferry.steps.app.pin_app import AppPinner, bases_of
from nightferry.steps.app.recipe import recipe_digest
from nightferry.steps.deciding.pin import Platform
from nightferry.steps.services.fill_settings import fill_settings
from nightferry.steps.services.load_services import load_service
from nightferry.steps.trial.previews.pin import pin_preview
from nightferry.steps.trial.previews.places import refuse_full

PIN = "pin"


def preview_request(run: Any) -> PreviewRequest:
    """The run's parameters.

    Raises:
        Permanent: (request_invalid) an unknown parameter, or a bad value.
    """
    try:
        return PreviewRequest.model_validate(
            {name: value for name, value in (run.conf or {}).items() if value is not None}
        )
    except ValidationError as fault:
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"The parameters of the run are not valid: {'; '.join(problems(fault))}. "
            f"A preview takes {', '.join(PreviewRequest.model_fields)}.",
        ) from fault


class PinPreviewOperator(BaseOperator):
    """Looks whether there is a place, and pins model and code. What was pinned is the task's XCom, as a decision for
    the tasks that make and test an image."""

    template_fields: Sequence[str] = ()

    def __init__(
        self,
        *,
        storage_conn_id: str = STORAGE,
        buildkit_conn_id: str = BUILDKIT,
        registry_conn_id: str = REGISTRY,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.storage_conn_id = storage_conn_id
        self.buildkit_conn_id = buildkit_conn_id
        self.registry_conn_id = registry_conn_id

    def execute(self, context: Any) -> dict[str, Any]:
        """Pin, and return it as a decision."""
        with reported(context):
            run = context["dag_run"]
            preview = self._pin(run)
            model, commit = preview.candidate.model.version, preview.candidate.source.commit
            self.log.info("%s: model %s, source %s, %d h", preview.preview, model, commit, preview.hours)
            return preview.decision(decision_key(run)).to_json()

    def _pin(self, run: Any) -> Preview:
        now, clock, request = settings.load(), SystemClock(), preview_request(run)
        spec = fill_settings(load_service(now.services_folders, now.expandable, request.service), now.service_type)
        refuse_full(open_cluster(spec.environments[-1].cluster, NAMESPACE), clock.now())
        storage = StorageHook(self.storage_conn_id)
        builder = BuildKitHook(self.buildkit_conn_id).builder(RegistryHook(self.registry_conn_id))
        locks = storage.locks(spec)
        apps = None if spec.is_stock else AppPinner(now.root, now.work, bases_of(now), locks, builder)
        return pin_preview(
            spec,
            request,
            key=decision_key(run),
            actor=actor(run),
            models=storage.models(spec.model),
            source=source(now, spec.source),
            platform=Platform(now.require("BASE_IMAGE"), recipe_digest(now.root), apps),
            ledger=storage.ledger_store(),
            clock=clock,
        )
