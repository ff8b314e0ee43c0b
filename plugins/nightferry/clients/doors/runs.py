"""The door to the runs of Airflow's DAGs, for what starts them from inside a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Runs(Protocol):
    """Starts runs, and says what became of them. Safe for several threads."""

    def start(self, dag: str, run: str, conf: Mapping[str, Any]) -> bool:
        """Start a run of that id; False when there is one already.

        Raises:
            Temporary: (airflow_unavailable) Airflow has no such DAG yet, or does not answer.
        """
        ...

    def known(self, dag: str, run: str) -> bool:
        """Whether there is or was a run of that id. Raises as `start`."""
        ...

    def under_way(self, dag: str, run: str) -> bool:
        """Whether that run waits or runs. Raises as `start`."""
        ...
