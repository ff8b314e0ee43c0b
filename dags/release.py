"""
### Release a service

One run is one release: it takes the newest model and the newest code of the service, or those asked for, builds one
image, tests it, publishes it, and takes it to staging and then to production. It runs every night by the service
file's schedule, and whenever somebody triggers it (here, with `nightferry release SERVICE`, or over the REST API).

* `decide` pins the newest model and commit, once, and says what will be released and why, or that nothing changed.
* `fetch_model` downloads the pinned model and checks every file's sha256.
* `check_model` opens it, compares it with its declaration in model.json, and applies the gates.
* `build_image` builds the image; one of the same inputs is taken as is.
* `test_source` runs the unit tests in the image's test stage, beside all this: they need no model.
* `test_image` starts that very image as production does and compares its answers.
* `publish_image` copies it, same digest, into the release repository.
* `staging.roll_out` starts it beside the release in use, asks it golden requests, then switches the Service;
  `staging.verify` asks the service at its own address, and on failure the switch is taken back. `production` likewise.
* `record` closes the release's record, however it went; `watcher` keeps the run red when a step failed.

**A green run with everything skipped** means that `decide` said no: `nightferry history SERVICE` shows why.
**A red run** left production as it was. `nightferry show RELEASE` gives the reason; docs/runbook.md says what to do
about each one. Clearing the failed task goes on with the same decision; a new run decides again.
Every step may run twice: it first looks whether its result is already there.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, TaskGroup, chain, get_parsing_context
from nightferry import settings
from nightferry.entities.service_spec import Environment, ServiceSpec
from nightferry.errors import Permanent
from nightferry.operators.decide import DecideOperator
from nightferry.operators.failures import RETRYING
from nightferry.operators.image.build_image import BuildImageOperator
from nightferry.operators.image.publish_image import PublishImageOperator
from nightferry.operators.image.test_image import TestImageOperator
from nightferry.operators.image.test_source import TestSourceOperator
from nightferry.operators.model.check_model import CheckModelOperator
from nightferry.operators.model.fetch_model import FetchModelOperator
from nightferry.operators.pods.roll_out import RollOutOperator, VerifyOperator
from nightferry.operators.record import RecordOperator
from nightferry.operators.watcher import WatcherOperator
from nightferry.steps.image.test_image import ready_seconds
from nightferry.steps.services.load_services import load_service, load_services

PREFIX = "release_"
PARAMETERS = {
    "model": Param(
        None,
        type=["null", "string"],
        pattern=r"^[A-Za-z0-9][-_.A-Za-z0-9]*$",
        maxLength=80,
        title="Model version",
        description="A published version of the service's model. Empty: the newest.",
    ),
    "commit": Param(
        None,
        type=["null", "string"],
        pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$",
        title="Commit",
        description="The full id of a commit of the service's source. Empty: what the service file's ref names now.",
    ),
    "reason": Param(
        "", type="string", maxLength=500, title="Reason", description="Why you release; it goes on the record."
    ),
    "force": Param(
        False,
        type="boolean",
        title="Release unchanged",
        description="Release even when nothing changed since the last.",
    ),
}


def release_dag(spec: ServiceSpec) -> DAG:
    """The DAG that releases one service."""
    schedule = spec.schedule
    with DAG(
        dag_id=PREFIX + spec.service,
        description=spec.description or f"Releases {spec.service}",
        doc_md=__doc__,
        # A service that was just added waits for its next night.
        schedule=CronTriggerTimetable(schedule.cron, timezone=schedule.timezone, run_immediately=dt.timedelta(0))
        if schedule
        else None,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        dagrun_timeout=dt.timedelta(hours=12),
        default_args={"owner": spec.owner, "execution_timeout": dt.timedelta(minutes=15), **RETRYING},
        params=PARAMETERS,
        tags=["nightferry", "release", spec.service],
    ) as dag:
        decide = DecideOperator(task_id="decide", spec=spec)
        hour = dt.timedelta(hours=1)
        tests = TestSourceOperator(task_id="test_source", spec=spec, execution_timeout=hour)
        image = [
            FetchModelOperator(task_id="fetch_model", spec=spec, execution_timeout=dt.timedelta(hours=2)),
            CheckModelOperator(task_id="check_model", spec=spec),
            BuildImageOperator(task_id="build_image", spec=spec, execution_timeout=hour),
            TestImageOperator(task_id="test_image", spec=spec, execution_timeout=_testing(spec)),
        ]
        release = [
            PublishImageOperator(task_id="publish_image", spec=spec),
            *(task for environment in spec.environments for task in _environment(spec, environment)),
        ]
        record = RecordOperator(task_id="record", spec=spec, trigger_rule="all_done")
        watcher = WatcherOperator(task_id="watcher", trigger_rule="one_failed", retries=0)

        chain(decide, *image, *release, record)
        decide >> tests >> release[0]
        steps = [tests, *image, *release]
        [decide, *steps] >> record
        [decide, *steps, record] >> watcher
    return dag


def _testing(spec: ServiceSpec) -> dt.timedelta:
    """Time for the image's test: fetching the image, its start, and all golden examples."""
    return dt.timedelta(seconds=ready_seconds(spec), minutes=15)


def _environment(spec: ServiceSpec, environment: Environment) -> list[Any]:
    limit = dt.timedelta(seconds=environment.ready_seconds, minutes=10)
    with TaskGroup(group_id=environment.name, tooltip=f"namespace {environment.namespace}"):
        return [
            RollOutOperator(task_id="roll_out", spec=spec, environment=environment, execution_timeout=limit),
            VerifyOperator(task_id="verify", spec=spec, environment=environment, execution_timeout=limit),
        ]


def _specs() -> list[ServiceSpec]:
    """The services to make DAGs of: all, or in a task's process the one whose task it is."""
    now = settings.load()
    wanted = get_parsing_context().dag_id
    if wanted is None:
        return [spec for spec, _ in load_services(now.services_folders, now.expandable).specs.values()]
    if not wanted.startswith(PREFIX):
        return []
    try:
        return [load_service(now.services_folders, now.expandable, wanted.removeprefix(PREFIX))]
    except Permanent:
        return []  # service_files.py shows what is wrong with the file


for _spec in _specs():
    release_dag(_spec)
