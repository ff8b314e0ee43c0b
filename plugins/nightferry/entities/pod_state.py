"""How a pod is, read from its manifest.

A release's pods have one container of ours. What else is in them, the cluster put there: sidecars and init containers
that a webhook injects, before ours or after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONTAINER = "service"
"""The container that a release is about."""
_STARTS_AGAIN = 2
"""A container that ended this often by itself will not come up by waiting."""
_SIGNALLED = (137, 143)
"""Exit codes of what was killed, or asked to end: by a probe, a node that goes, or for memory."""
_HOPELESS = {
    "CrashLoopBackOff": "crashes",
    "ImagePullBackOff": "cannot pull its image",
    "ErrImageNeverPull": "cannot pull its image",
    "RegistryUnavailable": "cannot pull its image",
    "InvalidImageName": "has an image name that cannot be",
    "CreateContainerConfigError": "cannot be configured",
    "CreateContainerError": "cannot be made",
    "RunContainerError": "cannot be run",
}
_PASSING = re.compile(
    r"connection (refused|reset)|time(d[ -]?)?out|deadline ?exceeded|no such host|server misbehaving|i/o error"
    r"|temporary failure in name resolution|unreachable|no route to host|unexpected eof|request canceled"
    r"|too ?many ?requests|qps exceeded|internal server error|service unavailable|bad gateway"
    r"|\b(429|500|502|503|504)\b|is reserved for"
)
"""What is said when it is the registry's or the node's bad moment, and not the image's fault."""
_DIGEST = re.compile(r"[0-9a-f]{32,}")
_NOT_BEGUN = ("", "ContainerCreating", "PodInitializing")


@dataclass(frozen=True)
class PodState:
    """A pod, as far as a rollout cares. Where nothing else is said, about the container of ours."""

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
    running: bool
    container_ready: bool
    unschedulable: str
    """Why no node takes the pod."""
    container: str
    """The container's name."""
    port: int
    """Where it takes requests."""
    requests: str
    """What the whole pod asks of a node: `cpu 100m, memory 256Mi`."""
    evicted: str
    """Why the cluster ended the pod, in its own words; empty unless it did."""
    beside: tuple[str, ...]
    """What is wrong with the containers that the cluster put beside ours: `istio-init (exit code 1)`."""

    @classmethod
    def read(cls, pod: Mapping[str, Any]) -> PodState:
        """Read a pod's manifest."""
        status = pod.get("status") or {}
        containers = pod["spec"]["containers"]
        ours = _named(containers, CONTAINER) or containers[0]
        name = ours.get("name", "")
        found = status.get("containerStatuses") or []
        container: Mapping[str, Any] = _named(found, name) or (found[0] if found and len(containers) == 1 else {})
        waiting, ended = _waiting(container), _last_end(container)
        conditions = {found["type"]: found for found in status.get("conditions") or []}
        scheduled = conditions.get("PodScheduled", {})
        phase = status.get("phase") or "Pending"
        return cls(
            name=pod["metadata"]["name"],
            ip=status.get("podIP") or "",
            phase=phase,
            ready=conditions.get("Ready", {}).get("status") == "True",
            deleting="deletionTimestamp" in pod["metadata"],
            image=ours["image"],
            image_id=container.get("imageID") or "",
            restarts=container.get("restartCount") or 0,
            waiting=waiting.get("reason") or "",
            waiting_message=_line(waiting.get("message")),
            ended=_ended(ended),
            ended_message=(ended.get("message") or "").strip(),
            running="running" in (container.get("state") or {}),
            container_ready=bool(container.get("ready")),
            unschedulable=_line(scheduled.get("message")) if scheduled.get("reason") == "Unschedulable" else "",
            container=name,
            port=_port(ours),
            requests=_requests(containers),
            evicted=_line(f"{status.get('reason') or ''} {status.get('message') or ''}") if phase == "Failed" else "",
            beside=tuple(_beside(status, name)),
        )

    @property
    def host(self) -> str:
        """The pod's address as a URL has it."""
        return f"[{self.ip}]" if ":" in self.ip else self.ip

    @property
    def over(self) -> bool:
        """Whether the pod has ended for good: the cluster makes another one in its place."""
        return self.phase in ("Failed", "Succeeded")

    @property
    def hopeless(self) -> str:
        """Why waiting for this pod is in vain; empty while it may still become ready."""
        if self.ready or self.over:  # a pod that serves may have crashed in its life
            return ""
        if self.waiting in _HOPELESS:
            return _HOPELESS[self.waiting]
        if self.ended and self.restarts >= _STARTS_AGAIN:
            return "crashes"
        return ""

    @property
    def crashes(self) -> bool:
        """Whether the service ends by itself, again and again; what a signal ended may have been the node's doing."""
        code = self.ended.removeprefix("exit code ")
        return self.hopeless == "crashes" and code.isdigit() and int(code) not in _SIGNALLED

    @property
    def may_pass(self) -> bool:
        """Whether what is wrong is likely to be over later: the registry was down when the image was pulled."""
        if self.waiting == "RegistryUnavailable":
            return True
        if self.waiting not in ("ImagePullBackOff", "ErrImagePull", "CreateContainerError", "RunContainerError"):
            return False
        return bool(_PASSING.search(_DIGEST.sub("", self.waiting_message.lower())))

    @property
    def begun(self) -> bool:
        """Whether the container was started once: before that nothing says that the release is wrong."""
        return bool(self.running or self.ended or self.waiting not in _NOT_BEGUN)


def _port(container: Mapping[str, Any]) -> int:
    found = _named(container.get("ports") or [], "http") or {}
    return int(found.get("containerPort", 8080))


def _named(found: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    return next((one for one in found if one.get("name") == name), None)


def _waiting(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return (container.get("state") or {}).get("waiting") or {}


def _last_end(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return (
        (container.get("state") or {}).get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    )


def _ended(terminated: Mapping[str, Any]) -> str:
    if not terminated:
        return ""
    reason = terminated.get("reason") or ""
    return f"exit code {terminated.get('exitCode')}" if reason in ("", "Error", "Completed") else reason


def _beside(status: Mapping[str, Any], ours: str) -> Iterator[str]:
    """The containers of others that keep the pod from being ready: init containers first, as they run first."""
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        # An init container is ready once it has ended well.
        if container.get("name", ours) != ours and not container.get("ready", False):
            yield _trouble(container)


def _trouble(container: Mapping[str, Any]) -> str:
    waiting, ended = _waiting(container), _last_end(container)
    told = [_ended(ended), waiting.get("reason"), _line(waiting.get("message")), _line(ended.get("message"))]
    how = ", ".join(text for text in told if text and text not in _NOT_BEGUN)
    return f"{container.get('name')} ({how[:300] or 'not ready'})"


def _requests(containers: Sequence[Mapping[str, Any]]) -> str:
    """What a node has to have free, as the manifests write it: a sum only where there are several."""
    asked = [(one.get("resources") or {}).get("requests") or {} for one in containers]
    found = {kind: [str(one[kind]) for one in asked if kind in one] for one in asked for kind in one}
    return ", ".join(f"{kind} {' + '.join(amounts)}" for kind, amounts in found.items())


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
