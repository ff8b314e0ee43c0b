"""The task that keeps a run red when a step failed."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException


class WatcherOperator(BaseOperator):
    """Fails as soon as one task failed; give it the trigger rule `one_failed`.

    Airflow judges a run by its last tasks, and `record`, which runs however the release went, is one of them: without
    the watcher a failed release would look green.
    """

    def execute(self, context: Any) -> None:
        """Fail, and so keep the run red."""
        raise AirflowFailException("A step of this release failed; the task `record` wrote which one and why.")
