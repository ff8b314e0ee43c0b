"""How a pod is, read from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_STARTS_AGAIN = 2
"""A container that ended this often by itself will not come up by waiting."""
_HOPELESS = {
    "CrashLoopBackOff": "crashes",
    "ImagePullBackOff": "cannot pull its image",
    "InvalidImageName": "has an image name that cannot be",
    "CreateContainerConfigError": "cannot be configured",
    "CreateContainerError": "cannot be made",
    "RunContainerError": "cannot be run",
}
_PASSING = ("connection refused", "timeout", "timed out", "no such host", "unexpected eof", "503", "502", "429")
"""What an image pull says when it is the registry's bad moment and not the image's fault."""


@dataclass(frozen=True)
class PodState:
    """A pod, as far as a rollout cares. Pods have one container."""

    name: str
    ip: str
    phase: str
    ready: bool
    deleting: bool
    image: str
    """The image that the pod was told to run."""
    image_id: str
    """What the container runtime says it runs; `…@sha256:<digest>` where it knows."""
    restarts: int
    waiting: str
    """Why the container does not run, in Kubernetes' word: CrashLoopBackOff, ImagePullBackOff, …"""
    waiting_message: str
    ended: str
    """How the container ended last: `exit code 1`, `OOMKilled`; empty when it never did."""
    ended_message: str
    """The last words of the container that ended."""
    unschedulable: str
    """Why no node takes the pod."""

    @classmethod
    def read(cls, pod: Mapping[str, Any]) -> PodState:
        """Read a pod's manifest."""
        status = pod.get("status") or {}
        container: Mapping[str, Any] = next(iter(status.get("containerStatuses") or []), {})
        state = container.get("state") or {}
        waiting = state.get("waiting") or {}
        ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
        conditions = {found["type"]: found for found in status.get("conditions") or []}
        scheduled = conditions.get("PodScheduled", {})
        return cls(
            name=pod["metadata"]["name"],
            ip=status.get("podIP") or "",
            phase=status.get("phase") or "Pending",
            ready=conditions.get("Ready", {}).get("status") == "True",
            deleting="deletionTimestamp" in pod["metadata"],
            image=pod["spec"]["containers"][0]["image"],
            image_id=container.get("imageID") or "",
            restarts=container.get("restartCount") or 0,
            waiting=waiting.get("reason") or "",
            waiting_message=" ".join((waiting.get("message") or "").split()),
            ended=_ended(ended),
            ended_message=(ended.get("message") or "").strip(),
            unschedulable=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else "",
        )

    @property
    def hopeless(self) -> str:
        """Why waiting for this pod is in vain; empty while it may still become ready."""
        if self.waiting in _HOPELESS:
            return _HOPELESS[self.waiting]
        if self.ended and self.restarts >= _STARTS_AGAIN:
            return "crashes"
        return ""

    @property
    def may_pass(self) -> bool:
        """Whether what is wrong is likely to be over later: the registry was down when the image was pulled."""
        message = self.waiting_message.lower()
        return self.waiting == "ImagePullBackOff" and any(word in message for word in _PASSING)


def _ended(terminated: Mapping[str, Any]) -> str:
    if not terminated:
        return ""
    reason = terminated.get("reason") or ""
    return f"exit code {terminated.get('exitCode')}" if reason in ("", "Error", "Completed") else reason
