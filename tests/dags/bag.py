"""The DAGs of the project, parsed anew."""

from __future__ import annotations

from typing import Any

from tests.dags.conftest import ROOT


def parsed() -> Any:
    """What Airflow makes of dags/ with the service files of the test."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(ROOT / "dags"))
