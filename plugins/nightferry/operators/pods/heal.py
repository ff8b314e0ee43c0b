"""The task that puts back, in one namespace, what was found to be changed by hand."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from nightferry.errors import Permanent, Temporary
from nightferry.operators.failures import FAILURE, reported
from nightferry.operators.look import TO_HEAL
from nightferry.operators.pods.deployer_pod import DeployerPodOperator
from nightferry.operators.run_facts import left_nothing


class HealOperator(DeployerPodOperator):
    """Runs `deployer look` for what the task `look` left; give it the trigger rule `all_done`.

    What could not be looked at fails here too: the run is red, and what was found is put back all the same.
    """

    def __init__(self, *, look: str, cluster: str, serves: str, **kwargs: Any) -> None:
        super().__init__(command="look", cluster=cluster, serves=serves, labels={}, **kwargs)
        self.look = look

    def execute(self, context: Any) -> None:
        """Run the pod where there is something to put back."""
        with reported(context):
            found = context["ti"].xcom_pull(task_ids=self.look, key=TO_HEAL)
            failed = context["ti"].xcom_pull(task_ids=self.look, key=FAILURE)
            if found:
                named = [["--service", service, "--environment", name] for service, name in found]
                self.arguments = ["look", *(word for words in named for word in words)]
                super().execute(context)
            if failed:
                raise (Permanent if failed["permanent"] else Temporary)(failed["reason"], failed["sentence"])
            if found is None:
                raise left_nothing(self.look)
            if not found:
                raise AirflowSkipException("There is nothing to put back.")
