"""
### Ask people whether a release may go on

A run asks about one image before one environment. The release's own run starts it and ends, so that nothing waits for
people but the record: the next night releases what is newer, and what waits here is then superseded.

* `answer_1` to `answer_5` ask, one after the other, as many people as the service file says (`approvals:`). Answer in
  **Required Actions**, or with `nightferry approve RELEASE` (`nightferry decline …`), with your own login.
* Who asked for the release, who answered before and, where the service file says so, the authors cannot answer.
* `remind` tells people again when half of their time is over.
* `go_on` starts the run that goes on with the approved release; `end` closes a release that was declined, or that too
  few approved in time.

**Marking a task as done approves nothing**: what counts is what people answered, as the record has it, and the deployer
reads it there again. A run that you start by hand asks nobody.
"""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG, Param, chain, get_parsing_context
from nightferry import settings
from nightferry.entities.approvals.runs import PREFIX, STAGES, dag_of
from nightferry.entities.service_spec import ServiceSpec
from nightferry.operators.approvals.ends import EndOperator, GoOnOperator
from nightferry.operators.approvals.remind import RemindOperator
from nightferry.operators.approvals.stage import ApprovalStageOperator
from nightferry.operators.failures import RETRYING
from nightferry.operators.watcher import WatcherOperator
from nightferry.steps.services.load_services import load_services


def approve_dag(spec: ServiceSpec) -> DAG:
    """The DAG that asks about one service's releases."""
    with DAG(
        dag_id=dag_of(spec.service),
        description=f"Asks people whether a release of {spec.service} may go on",
        doc_md=__doc__,
        schedule=None,
        catchup=False,
        max_active_runs=100,
        is_paused_upon_creation=False,
        default_args={"owner": spec.owner, "execution_timeout": dt.timedelta(minutes=5), **RETRYING},
        params={
            "release": Param(type="string", maxLength=80, title="Release", description="What people are asked about."),
            "environment": Param(type="string", maxLength=40, title="Environment", description="What it waits before."),
        },
        tags=["nightferry", "approval", spec.service],
    ) as dag:
        stages = [
            ApprovalStageOperator(task_id=f"answer_{number}", service=spec.service, trigger_rule="none_failed")
            for number in range(1, STAGES + 1)
        ]
        remind = RemindOperator(task_id="remind", service=spec.service)
        go_on = GoOnOperator(task_id="go_on", service=spec.service, trigger_rule="none_failed")
        end = EndOperator(task_id="end", service=spec.service, trigger_rule="all_done")
        watcher = WatcherOperator(task_id="watcher", trigger_rule="one_failed", retries=0)
        chain(*stages, go_on, end)
        [*stages, remind, go_on, end] >> watcher
    return dag


def _specs() -> list[ServiceSpec]:
    now = settings.load()
    wanted = get_parsing_context().dag_id
    if wanted is not None and not wanted.startswith(PREFIX):
        return []
    specs = [spec for spec, _ in load_services(now.services_folders, now.expandable).specs.values()]
    asking = [spec for spec in specs if any(one.approvals for one in spec.environments)]
    return [spec for spec in asking if wanted in (None, dag_of(spec.service))]


for _spec in _specs():
    approve_dag(_spec)
