"""The task that decides whether there is a release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.providers.standard.utils.skipmixin import SkipMixin
from airflow.sdk import BaseOperator

from nightferry import settings
from nightferry.clients.clock import SystemClock
from nightferry.clients.connect import source
from nightferry.entities.decision import Decision
from nightferry.entities.service_spec import ServiceSpec
from nightferry.hooks.buildkit import BUILDKIT, BuildKitHook
from nightferry.hooks.cluster import open_cluster
from nightferry.hooks.registry import REGISTRY, RegistryHook
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.operators.failures import reported
from nightferry.operators.run_facts import actor, cause, decision_key, is_scheduled, release_request, way
from nightferry.steps.app.pin_app import AppPinner, bases_of
from nightferry.steps.app.recipe import recipe_digest
from nightferry.steps.approvals.load_people import load_people
from nightferry.steps.deciding.decide import decide
from nightferry.steps.record.close_release import close_left_open
from nightferry.steps.rollout.refuse_new_record import refuse_new_record
from nightferry.steps.services.fill_settings import fill_settings


class DecideOperator(BaseOperator, SkipMixin):
    """Decides, and on "no" skips every task of the run that waits for success.

    A "no" is a good answer: the task is green. The decision is the task's XCom.
    """

    template_fields: Sequence[str] = ()

    def __init__(
        self,
        *,
        spec: ServiceSpec,
        storage_conn_id: str = STORAGE,
        buildkit_conn_id: str = BUILDKIT,
        registry_conn_id: str = REGISTRY,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.storage_conn_id = storage_conn_id
        self.buildkit_conn_id = buildkit_conn_id
        self.registry_conn_id = registry_conn_id

    def execute(self, context: Any) -> dict[str, Any]:
        """Decide, and return the decision as JSON."""
        with reported(context):
            decision = self._decide(context["dag_run"])
        self.log.info("%s: %s", "Release" if decision.go else "No release", decision.sentence)
        if not decision.go:
            # Skipping ends the task here, so what it would return is left by hand.
            context["ti"].xcom_push(key="return_value", value=decision.to_json())
            waiting = context["task"].get_flat_relatives(upstream=False)
            self.skip(ti=context["ti"], tasks=[task for task in waiting if task.trigger_rule == "all_success"])
        return decision.to_json()

    def _decide(self, run: Any) -> Decision:
        now, clock, key = settings.load(), SystemClock(), decision_key(run)
        storage = StorageHook(self.storage_conn_id)
        asked = cause(run)
        request = release_request(run).model_copy(update={"trigger": asked})
        spec = fill_settings(self.spec, now.service_type)
        last = spec.environments[-1]
        refuse_new_record(storage.ledger_store(), open_cluster(last.cluster, last.namespace), spec.service)
        close_left_open(spec=spec, key=key, ledger=storage.ledger_store(), clock=clock)
        return decide(
            spec,
            request,
            key=key,
            actor=actor(run),
            models=storage.models(self.spec.model),
            source=source(now, self.spec.source),
            ledger=storage.ledger_store(),
            base_image=now.require("BASE_IMAGE"),
            recipe=recipe_digest(now.root),
            clock=clock,
            apps=None if self.spec.is_stock else self._apps(now, storage),
            asked=run.run_after,
            slot=run.logical_date if is_scheduled(run) else None,
            way=way(run),
            cause=asked,
            people=load_people(now.people_file),
        )

    def _apps(self, now: settings.Settings, storage: StorageHook) -> AppPinner:
        builder = BuildKitHook(self.buildkit_conn_id).builder(RegistryHook(self.registry_conn_id))
        return AppPinner(now.root, now.work, bases_of(now), storage.locks(self.spec), builder)
