"""
### Look whether code or models are new

Every minute, at each repository that a service file's `triggers` name: one look, however many services share it. Where
a service's own code or its newest model is another one than was last decided about, a run of its release is started;
its `decide` looks again, and decides. Releases whose window has opened go on. A webhook starts a run of this DAG for
its repository at once.

Missing a run, or many, costs nothing but time: the next one sees what is there then. **A red run** means that something
could not be looked at; everything else was. No release is started for what could not be looked at.
"""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG, CronTriggerTimetable
from nightferry.operators.failures import RETRYING
from nightferry.operators.watch import WatchOperator

with DAG(
    dag_id="watch",
    description="Looks whether code or models are new, and starts their releases",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("* * * * *", timezone="UTC", run_immediately=dt.timedelta(0)),
    catchup=False,
    # A look may wait for one slow server, and a webhook's is not to wait for it: looks beside each other are safe.
    max_active_runs=4,
    is_paused_upon_creation=False,
    dagrun_timeout=dt.timedelta(minutes=15),
    default_args={"owner": "nightferry", "execution_timeout": dt.timedelta(minutes=7), **RETRYING, "retries": 1},
    tags=["nightferry", "housekeeping"],
):
    # First in line where workers are few: it takes a moment, and a release that it starts takes its turn.
    WatchOperator(task_id="look", priority_weight=100, weight_rule="absolute")
