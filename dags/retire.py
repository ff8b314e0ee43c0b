"""
### Retire releases that are no longer in use

Every ten minutes, in each namespace that a service file names: releases whose warm time is over are scaled to zero
(going back to one then takes a pod's start), and all but the newest few are removed. The release in use is never
touched. Missing a run, or many, only keeps old pods running longer.
"""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG, CronTriggerTimetable
from nightferry import settings
from nightferry.operators.failures import RETRYING
from nightferry.operators.pods.retire import RetireOperator
from nightferry.steps.services.load_services import load_services


def places() -> dict[tuple[str, str], list[str]]:
    """Every (cluster connection, namespace), and the services that are released to it."""
    now = settings.load()
    found = load_services(now.services_folders, now.expandable).places()
    return {place: sorted(spec.service for spec, _ in there) for place, there in found.items()}


with DAG(
    dag_id="retire_releases",
    description="Scales down and removes releases whose time is over",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("*/10 * * * *", timezone="UTC", run_immediately=dt.timedelta(0)),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=dt.timedelta(minutes=30),
    default_args={"owner": "nightferry", "execution_timeout": dt.timedelta(minutes=9), **RETRYING, "retries": 1},
    tags=["nightferry", "housekeeping"],
):
    for (cluster, namespace), services in places().items():
        RetireOperator(task_id=f"{cluster}.{namespace}", cluster=cluster, serves=namespace, services=services)
