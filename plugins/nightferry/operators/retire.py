"""The task that retires, in one namespace, the releases whose time is over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightferry.operators.deployer_pod import DeployerPodOperator
from nightferry.operators.failures import reported


class RetireOperator(DeployerPodOperator):
    """Runs `deployer retire` in a namespace, for the services that are released to it."""

    def __init__(self, *, cluster: str, namespace: str, services: Sequence[str], **kwargs: Any) -> None:
        super().__init__(command="retire", cluster=cluster, namespace=namespace, labels={}, **kwargs)
        self.services = tuple(services)

    def execute(self, context: Any) -> None:
        """Run the pod."""
        named = [word for service in self.services for word in ("--service", service)]
        self.arguments = ["retire", "--namespace", str(self.namespace), *named]
        with reported(context):
            super().execute(context)
