"""The task that proves, for one service, that the releases it could go back to would start and answer."""

from __future__ import annotations

from typing import Any

from nightferry.manifests.trial import NAMESPACE
from nightferry.operators.failures import reported
from nightferry.operators.pods.deployer_pod import DeployerPodOperator


class RehearseOperator(DeployerPodOperator):
    """Runs `deployer rehearse` for one service; the run names the night, so that a try after a kill finds what was
    done. What it finds wrong fails the task: the log and the record say what."""

    def __init__(self, *, cluster: str, service: str, **kwargs: Any) -> None:
        labels = {"nightferry.dev/service": service}
        super().__init__(command="rehearse", cluster=cluster, serves=NAMESPACE, labels=labels, **kwargs)
        self.service = service

    def execute(self, context: Any) -> None:
        """Run the pod."""
        words = ["--service", self.service, "--night", context["dag_run"].run_id, "--actor", "rehearsal"]
        self.arguments = ["rehearse", *words]
        with reported(context):
            super().execute(context)
