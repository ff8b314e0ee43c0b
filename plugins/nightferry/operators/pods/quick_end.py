"""Notice early that a deployer's pod has ended: every release waits for two of them, four on a bad night."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from airflow.providers.cncf.kubernetes.callbacks import KubernetesPodOperatorCallback
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodPhase

from nightferry.entities.deployer_end import ENDS

LOOK_SECONDS = 0.25
"""Seconds between two looks at a pod that starts or ends."""
PATIENCE = 10
"""Seconds after the deployer's last word in which the cluster should notice that the container has ended."""


class Ended(Exception):
    """The pod has ended, and the operator's `remote_pod` says how: there is nothing more to wait for.

    Raised through the provider's operator, which then cleans up as after every pod.
    """


class QuickEnd(KubernetesPodOperatorCallback):
    """Ends the provider's waiting at the deployer's last word.

    The provider waits until the kubelet closes the log, has noticed the end of the container, and has said so in the
    pod's phase: some seconds. Where the work is on the record, that says it at once; else the container's own state
    does, which comes before the phase and has the exit code. Where neither is seen in time, the provider goes on.
    """

    def __init__(self, operator: Any, recorded: Callable[[], bool]) -> None:
        """Watch the pod of `operator`; `recorded` says whether the record has the pod's work as done."""
        self._operator = operator
        self._recorded = recorded
        self._looked = self._ended = False

    def progress_callback(self, *, line: str, pod: Any, **more: Any) -> None:  # type: ignore[override]  # of an instance
        """Look at each line of the log.

        Raises:
            Ended: it is the deployer's last, and the pod has ended.
        """
        if line.strip() == ENDS and not self._looked:
            self._looked = True
            self._ended = self._see_the_end(pod)
        if self._ended:  # the provider hands the same line over once more when it lets go of the log
            raise Ended

    def _see_the_end(self, pod: Any) -> bool:
        manager, container = self._operator.pod_manager, self._operator.base_container_name
        done = self._recorded()
        until = time.monotonic() + PATIENCE
        while True:
            found = manager.read_pod(pod)
            code = exit_code(found, container)
            if done or code is not None:
                found.status.phase = PodPhase.FAILED if code and not done else PodPhase.SUCCEEDED
                self._operator.remote_pod = found
                return True
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_SECONDS)


def exit_code(pod: Any, container_name: str) -> int | None:
    """How the container ended; None while it has not."""
    for container in pod.status.container_statuses or ():
        if container.name == container_name and container.state.terminated:
            return int(container.state.terminated.exit_code)
    return None
