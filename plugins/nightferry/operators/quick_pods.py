"""Watching short pods closely: a release runs four of them in a row."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager, PodPhase

LOOK_SECONDS = 0.25
"""Seconds between two looks at a pod that starts or ends; with the provider's 1 and 2 a release takes 8 s longer."""


class QuickPodManager(PodManager):
    """The provider's, which looks more often whether a pod whose log has ended has ended too."""

    def container_is_running(self, pod: Any, container_name: str) -> bool:
        """Whether the container runs. The kubelet says late that it does not; the provider would read its log again."""
        return not self._soon(lambda: not super(QuickPodManager, self).container_is_running(pod, container_name), 2)

    def await_pod_completion(self, pod: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait until the pod has ended; the pod."""
        self._soon(lambda: self.read_pod(pod).status.phase in PodPhase.terminal_states, 10)
        return super().await_pod_completion(pod, *args, **kwargs)

    @staticmethod
    def _soon(condition: Callable[[], bool], seconds: float) -> bool:
        """Whether the condition comes true within some seconds."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_SECONDS)
        return True
