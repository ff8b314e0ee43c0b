"""The task that looks at the repositories of code and models, and starts the runs that are due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator
from pydantic import ValidationError

from nightferry import settings
from nightferry.clients.clock import SystemClock
from nightferry.clients.git.watched import WatchedGit
from nightferry.entities.frozen import problems
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.watching.push import Push
from nightferry.errors import NightferryError, Permanent
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.operators.failures import reported
from nightferry.operators.task_runs import TaskRuns
from nightferry.settings import Settings
from nightferry.steps.services.load_services import load_services
from nightferry.steps.watching.doors import Doors
from nightferry.steps.watching.look_around import look_around
from nightferry.steps.watching.repositories import repositories
from nightferry.steps.watching.resume_waiting import resume_waiting
from nightferry.steps.watching.wake import look_at_events


class WatchOperator(BaseOperator):
    """Looks at every repository that a service file's `triggers` name, or at those that a webhook names.

    What could not be looked at fails the task once all others were looked at; the next minute looks again.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, storage_conn_id: str = STORAGE, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.storage_conn_id = storage_conn_id

    def execute(self, context: Any) -> dict[str, Any]:
        """Look, and return what was looked at and which runs were started."""
        with reported(context):
            push = push_of(context["dag_run"])
            now = settings.load()
            services = [spec for spec, _ in load_services(now.services_folders, now.expandable).specs.values()]
            started, faults, looked = self._look(services, push, now)
            for run in started:
                self.log.info("Started %s", run)
            for fault in faults:
                self.log.warning("Could not look (%s): %s", fault.reason, fault.sentence)
            context["ti"].xcom_push(key="watched", value={"looked": looked, "started": started})
            if faults:
                raise faults[0]
        return {"looked": looked, "started": started}

    def _look(
        self, services: Sequence[ServiceSpec], push: Push | None, now: Settings
    ) -> tuple[list[str], list[NightferryError], int]:
        storage = StorageHook(self.storage_conn_id)
        doors = _doors(now, storage)
        wanted = repositories(services)
        if push:
            looked = look_around([one for one in wanted if one.identity in push.repositories], doors, push)
            resumed: list[str] = []
            faults: list[NightferryError] = []
        else:
            # First: what waits for nothing outside is not to wait for a silent server either.
            resumed, silent = resume_waiting(services, doors)
            queue = storage.events(now.events_queue) if now.events_queue else None
            looked, faults = look_at_events(wanted, doors, queue)
            faults += silent
        started = [run for one in looked for run in one.started] + resumed
        return started, [fault for one in looked for fault in one.faults] + faults, len(looked)


def push_of(run: Any) -> Push | None:
    """What a webhook said; None for the minute's look.

    A person who triggers the DAG names repositories at most: who pushed is for the sender of a signed delivery to say.

    Raises:
        Permanent: (request_invalid)
    """
    conf = run.conf or {}
    if not conf:
        return None
    try:
        push = Push.model_validate(conf.get("push"))
    except ValidationError as fault:
        sentence = f"The parameters of the run are not valid: {'; '.join(problems(fault))}. Give it none."
        raise Permanent(Reason.REQUEST_INVALID, sentence) from fault
    return Push(repositories=push.repositories, provider="a person") if run.triggering_user_name else push


def _doors(now: Settings, storage: StorageHook) -> Doors:
    clock = SystemClock()
    storage.service_client  # noqa: B018 - connected once, before the threads that share it
    return Doors(
        source=lambda address: WatchedGit(address, now.work, now.root, clock, now.git_seconds),
        models=storage.models,
        ledger=storage.ledger_store(),
        cursors=storage.cursors(),
        runs=TaskRuns(),
        clock=clock,
        work=now.work,
    )
