"""
### End previews

Every five minutes: previews whose time is over are written down as ended, and what is left of them is removed. The
cluster itself ends their pods on time, and removes everything an hour later, also while this does not run. A person
ends a preview earlier with `nightferry preview end PREVIEW`, or here, by its name.

It is looked at from here; a pod is started only where there is something to end.
"""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG, CronTriggerTimetable, Param
from nightferry import settings
from nightferry.operators.failures import RETRYING, RUN_TYPES
from nightferry.operators.previews.end import EndPreviewsOperator
from nightferry.steps.services.load_services import load_services


def clusters() -> list[str]:
    """The connections of the clusters that previews may be in."""
    now = settings.load()
    found = load_services(now.services_folders, now.expandable).specs.values()
    return sorted({spec.environments[-1].cluster for spec, _ in found})


with DAG(
    dag_id="end_previews",
    description="Removes previews whose time is over, and the one that a person ends",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC", run_immediately=dt.timedelta(0)),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    allowed_run_types=RUN_TYPES,
    dagrun_timeout=dt.timedelta(minutes=30),
    default_args={"owner": "nightferry", "execution_timeout": dt.timedelta(minutes=9), **RETRYING, "retries": 1},
    params={
        "preview": Param(
            None,
            type=["null", "string"],
            pattern=r"^preview-[a-z]([-a-z0-9]*[a-z0-9])?-[1-9][0-9]*$",
            title="Preview",
            description="The one to end now, such as preview-digits-3. Empty: those that are over.",
        ),
        "reason": Param(
            None, type=["null", "string"], maxLength=500, title="Reason", description="Why, on the record."
        ),
    },
    tags=["nightferry", "housekeeping"],
):
    for cluster in clusters():
        EndPreviewsOperator(task_id=cluster, cluster=cluster)
