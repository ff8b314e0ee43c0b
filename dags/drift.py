"""
### Look whether what runs is what the record says

Every two minutes, in each namespace that a service file names: what somebody changed by hand (image, replicas,
variables, the Service) is written on the record, once. Where the service file says `heal: true` it is put back. It is
looked at from here; a pod is started only to put something back. Missing a run, or many, costs nothing: the next one
sees what is there then.
"""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG, CronTriggerTimetable, chain
from nightferry import settings
from nightferry.operators.failures import RETRYING
from nightferry.operators.look import Looked, LookOperator
from nightferry.operators.pods.heal import HealOperator
from nightferry.steps.services.load_services import load_services


def places() -> dict[tuple[str, str], list[Looked]]:
    """Every (cluster connection, namespace), and what is looked at there."""
    now = settings.load()
    found = load_services(now.services_folders, now.expandable).places()
    return {
        place: sorted(Looked(spec.service, one.name, one.heal) for spec, one in there) for place, there in found.items()
    }


with DAG(
    dag_id="drift",
    description="Finds what was changed by hand, and puts it back where that is asked for",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("*/2 * * * *", timezone="UTC", run_immediately=dt.timedelta(0)),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=dt.timedelta(minutes=10),
    default_args={"owner": "nightferry", "execution_timeout": dt.timedelta(minutes=5), **RETRYING, "retries": 1},
    tags=["nightferry", "housekeeping"],
):
    for (cluster, namespace), looked in places().items():
        name = f"{cluster}.{namespace}"
        look = LookOperator(task_id=name, cluster=cluster, namespace=namespace, looked=looked)
        if any(one.heal for one in looked):
            heal = HealOperator(
                task_id=f"{name}.heal", look=name, cluster=cluster, serves=namespace, trigger_rule="all_done"
            )
            chain(look, heal)
