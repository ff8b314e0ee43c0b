"""What is said about pods that did not become ready: whose fault it is, in the cluster's and the pod's own words."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from nightferry.clients.doors.cluster import Cluster
from nightferry.entities.pod_state import PodState
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.steps.rollout.kept_warm import kept_warm, named


def too_late(cluster: Cluster, release: str, pods: Sequence[PodState], seconds: float) -> Permanent | Temporary:
    """The error of pods that were not ready within `seconds`.

    It is permanent where the release is at fault or the cluster is full, temporary where its container was never
    started, where only what the cluster put beside it is not ready, or where its Deployment says later what is so.
    """
    start = f"The pods of {release} in {cluster.namespace} were not ready within {seconds:g} s"
    pod = _telling([pod for pod in pods if not pod.ready])
    if pod is None and pods:  # its controller is behind, as after an API server that was away
        return Temporary(
            Reason.ROLLOUT_NOT_READY,
            f"{start} by what their Deployment says, although {len(pods)} are; the cluster's controllers are behind.",
        )
    if pod is None:
        return Permanent(Reason.ROLLOUT_NOT_READY, f"{start}: the cluster made {len(pods)} of them; see its events.")
    if pod.unschedulable:
        return Permanent(
            Reason.ROLLOUT_NO_CAPACITY,
            f"{no_node(cluster, release, pod)} It was waited for {seconds:g} s.{_what_to_do(cluster, release)}",
        )
    if pod.over:
        return Temporary(
            Reason.ROLLOUT_NOT_READY, f"{start}: the cluster ended pod {pod.name}: {pod.evicted or pod.phase}"
        )
    if pod.container_ready or (pod.beside and not pod.begun):
        beside = ", ".join(pod.beside) or "a readiness gate"
        return Temporary(
            Reason.ROLLOUT_NOT_READY,
            f"{start}: in pod {pod.name} something beside the service's own container is not ready: {beside}.",
        )
    kind = Permanent if pod.begun and not pod.may_pass else Temporary
    return kind(Reason.ROLLOUT_NOT_READY, f"{start}: pod {pod.name} is {pod.phase}{details(cluster, pod)}")


def no_node(cluster: Cluster, release: str, pod: PodState) -> str:
    """What a pod wants and why no node takes it, in the cluster's own words."""
    wants = f", which asks for {pod.requests}" if pod.requests else ""
    return f"No node takes pod {pod.name} of {release} in {cluster.namespace}{wants}: {pod.unschedulable.rstrip('.')}."


def _what_to_do(cluster: Cluster, release: str) -> str:
    warm = []
    with suppress(NightferryError):  # what is known already is said all the same
        warm = [one for one in kept_warm(cluster) if one.release != release]
    held = f", or let go of what is kept warm: {named(warm)}" if warm else ""
    return f" Ask for less in the service file (`resources`, `replicas`), add nodes{held}; then release again."


def _telling(unready: Sequence[PodState]) -> PodState | None:
    """The pod that says most: not one that is on its way out, and one that was ended only when there is no other."""
    staying = [pod for pod in unready if not pod.deleting] or unready
    living = [pod for pod in staying if not pod.over] or staying
    return next((pod for pod in living if pod.unschedulable), living[0] if living else None)


def details(cluster: Cluster, pod: PodState) -> str:
    """` (OOMKilled): …its last words…`, as far as there are any."""
    how = pod.ended or pod.waiting
    warning = _warning(cluster, pod.name)
    words = pod.ended_message or cluster.last_words(pod.name, container=pod.container)
    told = [text for text in (pod.waiting_message or warning, _last_lines(words)) if text]
    return (f" ({how})" if how else "") + (": " + " — ".join(told) if told else ".")


def _warning(cluster: Cluster, pod: str) -> str:
    """The newest warning that the cluster gave about the pod."""
    events = cluster.list("Event", fields={"involvedObject.kind": "Pod", "involvedObject.name": pod})
    warnings = [event for event in events if event.get("type") == "Warning"]
    newest = max(warnings, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "", default={})
    return " ".join(str(newest.get("message", "")).split())[:500]


def _last_lines(words: str) -> str:
    """The end of a log, short enough for a sentence."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-500:]
