"""As much of quotas and of the scheduler as a rollout meets: pods count, and what their first container asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Manifest = dict[str, Any]


def quota_status(quota: Manifest, pods: Sequence[Manifest]) -> Manifest:
    """What the quota's controller writes: what may be used, and what is."""
    hard = quota["spec"]["hard"]
    return {"hard": dict(hard), "used": {resource: _said(resource, _used(resource, pods)) for resource in hard}}


def exceeded(quotas: Sequence[Manifest], pods: Sequence[Manifest], spec: Manifest, name: str) -> str:
    """Why the quotas forbid one more pod, as the API server says it; empty when they do not."""
    for quota in quotas:
        for resource, hard in quota["spec"]["hard"].items():
            used, wanted = _used(resource, pods), _asked(resource, spec)
            if wanted and used + wanted > _number(hard):
                figures = f"requested: {resource}={_said(resource, wanted)}, used: {resource}={_said(resource, used)}"
                quota_name = quota["metadata"]["name"]
                return (
                    f'pods "{name}" is forbidden: exceeded quota: {quota_name}, {figures}, limited: {resource}={hard}'
                )
    return ""


def no_room(node_cpu: str | None, pods: Sequence[Manifest], pod: Manifest) -> str:
    """Why the only node does not take the pod; the pods that were there before it keep their place."""
    if node_cpu is None:
        return ""
    free = _number(node_cpu)
    for other in pods:
        wanted = _asked("requests.cpu", other["spec"])
        if other["metadata"]["name"] == pod["metadata"]["name"]:
            return "0/1 nodes are available: 1 Insufficient cpu." if wanted > free else ""
        free -= wanted if wanted <= free else 0
    return ""


def _used(resource: str, pods: Sequence[Manifest]) -> float:
    return sum(_asked(resource, pod["spec"]) for pod in pods)


def _asked(resource: str, spec: Manifest) -> float:
    if resource == "pods":
        return 1
    which, _, kind = resource.partition(".")
    if which not in ("requests", "limits"):  # it counts other objects
        return 0
    return _number(spec["containers"][0].get("resources", {}).get(which, {}).get(kind, "0"))


def _number(quantity: str) -> float:
    for unit, size in (("m", 1e-3), ("Mi", 2**20), ("Gi", 2**30)):
        if quantity.endswith(unit):
            return float(quantity.removesuffix(unit)) * size
    return float(quantity)


def _said(resource: str, amount: float) -> str:
    if "cpu" in resource:
        return f"{round(amount * 1000)}m"
    return f"{round(amount / 2**20)}Mi" if "memory" in resource else str(round(amount))
