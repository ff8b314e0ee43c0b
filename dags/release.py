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
* `staging.roll_out`, and every roll_out, first asks whether the release may enter now: if it waits for people's yes, a
  calendar, or to be asked for more than an image, the run ends here, green, and another one goes on with it.
* `staging.roll_out` starts it beside the release in use, asks it golden requests, switches the Service, and asks the
  service at its own address: if that is not right, the same pod takes the switch back. `staging.verify` looks whether
  that stands, or looks again. `production` likewise; if production goes back, `staging.go_back` takes staging back too.
* `blame` runs where a gate failed: it says whether the code or the model is guilty, and how to release the other one.
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
from nightferry.clients.airflow.api import BUILDER_POOL
from nightferry.entities import release_steps as steps
from nightferry.entities.barring.blame import BLAME
from nightferry.entities.service_spec import Environment, ServiceSpec
from nightferry.errors import Permanent
from nightferry.operators.decide import DecideOperator
from nightferry.operators.failures import RETRYING, RUN_TYPES
from nightferry.operators.image.blame import BlameOperator
from nightferry.operators.image.build_image import BuildImageOperator
from nightferry.operators.image.publish_image import PublishImageOperator
from nightferry.operators.image.test_image import TestImageOperator
from nightferry.operators.image.test_source import TestSourceOperator
from nightferry.operators.model.check_model import CheckModelOperator
from nightferry.operators.model.fetch_model import FetchModelOperator
from nightferry.operators.pods.roll_out import GoBackOperator, RollOutOperator, VerifyOperator
from nightferry.operators.record import RecordOperator
from nightferry.operators.watcher import WatcherOperator
from nightferry.steps.image.test_image import ready_seconds
from nightferry.steps.services.load_services import load_service, load_services

PREFIX = "release_"
TASKS: dict[str, tuple[Any, int]] = {
    steps.TEST_SOURCE: (TestSourceOperator, 60),
    steps.FETCH_MODEL: (FetchModelOperator, 120),
    steps.CHECK_MODEL: (CheckModelOperator, 15),
    steps.BUILD_IMAGE: (BuildImageOperator, 60),
    steps.TEST_IMAGE: (TestImageOperator, 15),
    steps.PUBLISH_IMAGE: (PublishImageOperator, 15),
}
"""What does each step of making the image, and the minutes that it may take."""
BUILDING = frozenset({steps.TEST_SOURCE, steps.BUILD_IMAGE, steps.TEST_IMAGE})
"""The steps that share the machine of the engines: an image that starts beside thirty others is taken for one that
does not start."""
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
        None,
        type=["null", "string"],
        maxLength=500,
        title="Reason",
        description="Why you release; it goes on the record.",
    ),
    "force": Param(
        False,
        type="boolean",
        title="Release unchanged",
        description="Release even when nothing changed since the last.",
    ),
    "until": Param(
        None,
        type=["null", "string"],
        enum=[None, "published"],
        title="Until",
        description="published: build, test and publish it; the schedule, or you, go on with it. Empty: all the way.",
    ),
    "resume": Param(
        None,
        type=["null", "string"],
        maxLength=80,
        title="Go on with",
        description="A release that waits, such as digits-2026-11-21.1. Empty: a new decision.",
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
        allowed_run_types=RUN_TYPES,
        dagrun_timeout=dt.timedelta(hours=12),
        default_args={"owner": spec.owner, "execution_timeout": dt.timedelta(minutes=15), **RETRYING},
        params=PARAMETERS,
        tags=["nightferry", "release", spec.service],
    ) as dag:
        # What an app asks for may have to be resolved, and its packages built, before it can be decided on.
        resolving = {} if spec.is_stock else {"pool": BUILDER_POOL, "execution_timeout": dt.timedelta(minutes=60)}
        decide = DecideOperator(task_id="decide", spec=spec, **resolving)
        tests, *image, publish = (_image_task(name, spec) for name in steps.IMAGE_STEPS)
        rollouts = [task for environment in spec.environments for task in _environment(spec, environment)]
        back = [_go_back(spec, environment) for environment in spec.environments[:-1]]
        blame = _blame(spec)
        record = RecordOperator(task_id="record", spec=spec, trigger_rule="all_done")
        watcher = WatcherOperator(task_id="watcher", trigger_rule="one_failed", retries=0)

        chain(decide, *image, publish, *rollouts, record)
        decide >> tests >> publish
        for task in rollouts[-2:]:
            task >> back
        [tests, *image, *rollouts] >> blame
        done = [decide, tests, *image, publish, *rollouts, *back, blame]
        done >> record
        [*done, record] >> watcher
    return dag


def _image_task(name: str, spec: ServiceSpec) -> Any:
    operator, minutes = TASKS[name]
    started = ready_seconds(spec) if name == steps.TEST_IMAGE else 0  # as long as the slowest environment waits
    longest = dt.timedelta(minutes=minutes, seconds=started)
    pool = {"pool": BUILDER_POOL} if name in BUILDING else {}
    return operator(task_id=name, spec=spec, execution_timeout=longest, **pool)


def _environment(spec: ServiceSpec, environment: Environment) -> list[Any]:
    with TaskGroup(group_id=environment.name, tooltip=f"namespace {environment.namespace}"):
        return [
            RollOutOperator(task_id=steps.ROLL_OUT, **_in(spec, environment)),
            VerifyOperator(task_id=steps.VERIFY, **_in(spec, environment)),
        ]


def _go_back(spec: ServiceSpec, environment: Environment) -> Any:
    """If the last environment goes back, this one does too."""
    return GoBackOperator(task_id=f"{environment.name}.go_back", trigger_rule="one_failed", **_in(spec, environment))


def _blame(spec: ServiceSpec) -> Any:
    """Whose fault a failed gate is. The release's end waits for it, so it has to end: see ADR 27."""
    longest = dt.timedelta(minutes=15, seconds=ready_seconds(spec))
    rule = {"trigger_rule": "one_failed", "retries": 1, "pool": BUILDER_POOL}
    return BlameOperator(task_id=BLAME, spec=spec, execution_timeout=longest, **rule)


def _in(spec: ServiceSpec, environment: Environment) -> dict[str, Any]:
    watched = environment.strategy.longest_seconds  # the steps of a canary and the bake
    limit = dt.timedelta(seconds=environment.ready_seconds + watched, minutes=10)
    return {"spec": spec, "environment": environment, "execution_timeout": limit}


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
