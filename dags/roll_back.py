"""
### Send the users of a service to an earlier release

Trigger it with the service and a reason. Production goes back first, then staging if its users get another release
than production's by then. It builds nothing, is never held, and what the release that is left has and the other one has
not is **quarantined**: the next night does not ship it again, and says why.

When Airflow is down, `nightferry rollback SERVICE --reason TEXT` does the same with your own rights in the cluster.
"""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG, Param, chain
from nightferry import settings
from nightferry.operators.failures import RETRYING
from nightferry.operators.pods.roll_back import RollBackOperator
from nightferry.steps.services.load_services import load_services


def services() -> list[str]:
    """Those that have a sound service file."""
    now = settings.load()
    return sorted(load_services(now.services_folders, now.expandable).specs)


with DAG(
    dag_id="roll_back",
    description="Sends the users of a service to an earlier release",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=10,
    is_paused_upon_creation=False,
    dagrun_timeout=dt.timedelta(hours=2),
    default_args={"owner": "nightferry", "execution_timeout": dt.timedelta(minutes=60), **RETRYING},
    params={
        "service": Param(
            type="string", enum=services() or ["none"], title="Service", description="Whose users go back."
        ),
        "to": Param(
            None,
            type=["null", "string"],
            pattern=r"^[a-z][-a-z0-9]*-\d{4}-\d{2}-\d{2}\.\d+$",
            title="To",
            description="The release that users get, such as digits-2026-11-21.1. Empty: the one before.",
        ),
        "reason": Param(
            type="string", minLength=1, maxLength=500, title="Reason", description="Why; it goes on the record."
        ),
    },
    tags=["nightferry", "rollback"],
):
    chain(
        RollBackOperator(task_id="production", environment="production"),
        RollBackOperator(task_id="staging", environment="staging"),
    )
