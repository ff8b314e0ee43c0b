"""The task that retires, in one namespace, the releases whose time is over."""

from __future__ import annotations

from typing import Any

from nightferry.operators.deployer_pod import DeployerPodOperator
from nightferry.operators.failures import reported


class RetireOperator(DeployerPodOperator):
    """Runs `deployer retire` in a namespace."""

    def __init__(self, *, cluster: str, namespace: str, **kwargs: Any) -> None:
        super().__init__(command="retire", cluster=cluster, namespace=namespace, labels={}, **kwargs)

    def execute(self, context: Any) -> None:
        """Run the pod."""
        self.arguments = ["retire"]
        with reported(context):
            super().execute(context)
