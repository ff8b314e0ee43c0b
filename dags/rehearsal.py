"""
### Prove that the releases that users could be sent back to would start and answer

Each night, for each service, the last three good releases are brought up for a moment in the namespace
`nightferry-trial`, which nobody uses: the very images, pulled anew, started as they were decided. They are asked their
golden examples and removed. What was found is on the record; `nightferry show` and `nightferry status` tell its age. A
red task means that going back would not work for some release: its log and the record say which, and why.
"""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG, CronTriggerTimetable
from nightferry import settings
from nightferry.operators.failures import RETRYING
from nightferry.operators.pods.rehearse import RehearseOperator
from nightferry.steps.services.load_services import load_services


def places() -> dict[str, str]:
    """Every service, and the connection of the cluster that its production is in."""
    now = settings.load()
    found = load_services(now.services_folders, now.expandable).specs.values()
    return {spec.service: spec.environments[-1].cluster for spec, _ in found}


with DAG(
    dag_id="rehearsal",
    description="Proves that the last good releases would start and answer",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("30 4 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    max_active_tasks=1,  # one at a time may use the namespace; waiting pods would hold others up
    is_paused_upon_creation=False,
    dagrun_timeout=dt.timedelta(hours=12),
    default_args={"owner": "nightferry", "execution_timeout": dt.timedelta(minutes=40), **RETRYING, "retries": 1},
    tags=["nightferry", "rehearsal"],
):
    for service, cluster in sorted(places().items()):
        RehearseOperator(task_id=service, cluster=cluster, service=service)
