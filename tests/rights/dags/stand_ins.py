"""What the tests of rights ask about and the project's own folder does not have: a DAG that asks people, one of others,
and those that only a part of the installations has. Nothing of it ever runs."""

from __future__ import annotations

from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

PROJECT = Path(__file__).resolve().parents[3] / "dags"
ANSWERS = ("viewer", "user", "op", "admin")
DAGS = {
    "approve_digits": [f"{whose}_{role}" for role in ANSWERS for whose in ("listed", "other")],
    "somebody_elses": ["work"],
    **{name: ["work"] for name in ("preview", "end_previews", "watch") if not (PROJECT / f"{name}.py").exists()},
}

for name, tasks in DAGS.items():
    with DAG(dag_id=name, schedule=None, is_paused_upon_creation=False, max_active_runs=100):
        for task in tasks:
            EmptyOperator(task_id=task)
