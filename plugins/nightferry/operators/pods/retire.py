"""The task that retires, in one namespace, the releases whose time is over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import PodPhase

from nightferry.clients.clock import SystemClock
from nightferry.operators.failures import reported
from nightferry.operators.pods.deployer_pod import DEPLOYER_LABELS, DeployerPodOperator

FINISHED_FOR = dt.timedelta(minutes=15)
"""How long ago a pod that is nobody's any more has ended; a task looks at its own within seconds."""


class RetireOperator(DeployerPodOperator):
    """Runs `deployer retire` for one namespace, and the services that are released to it."""

    def __init__(self, *, cluster: str, serves: str, services: Sequence[str], **kwargs: Any) -> None:
        super().__init__(command="retire", cluster=cluster, serves=serves, labels={}, **kwargs)
        self.services = tuple(services)

    def execute(self, context: Any) -> None:
        """Run the pod."""
        named = [word for service in self.services for word in ("--service", service)]
        self.arguments = ["retire", "--namespace", self.serves, *named]
        with reported(context):
            super().execute(context)
            self._remove_finished_pods()

    def _remove_finished_pods(self) -> None:
        """Remove deployer pods that a lost connection or a killed Airflow left behind when they had ended.

        They are all in one namespace, so the tasks for other namespaces may be at it, too: a pod that is gone is well.
        """
        labels = ",".join(f"{name}={value}" for name, value in DEPLOYER_LABELS.items())
        pods = self.client.list_namespaced_pod(self.namespace, label_selector=labels).items
        before = SystemClock().now() - FINISHED_FOR
        for pod in pods:
            ended = [state.terminated.finished_at for state in _states(pod) if state.terminated]
            if pod.status.phase in PodPhase.terminal_states and all(time and time < before for time in ended):
                self.log.info("Removing %s, which ended and was left behind", pod.metadata.name)
                self.pod_manager.delete_pod(pod)


def _states(pod: Any) -> list[Any]:
    return [container.state for container in pod.status.container_statuses or ()]
