"""Wait until a release's pods are ready, and no longer than there is hope."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from nightferry.clients.clock import Clock
from nightferry.clients.cluster import Cluster, Manifest
from nightferry.entities.pod_state import PodState
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names

POLL_SECONDS = 0.5
log = logging.getLogger(__name__)


def await_ready(cluster: Cluster, service: str, release: str, *, seconds: float, clock: Clock) -> list[PodState]:
    """Wait until every pod that the release's Deployment wants is ready; these pods.

    A cluster that does not answer for a moment is asked again until the time is over.

    Raises:
        Permanent: (rollout_not_ready: the pods crash, or were not ready in time; rollout_refused: quota or policy
            forbid the pods) with the pod's own last words.
        Temporary: (rollout_not_ready: no node has room, or the image could not be pulled for the registry's sake;
            cluster_unavailable)
    """
    deadline = clock.monotonic() + seconds
    unanswered: Temporary | None = None
    said = ""
    while True:
        try:
            deployment, pods = _look(cluster, service, release)
            unanswered = None
            ready = [pod for pod in pods if pod.ready and not pod.deleting]
            if _complete(deployment, ready):
                return ready
            _give_up_early(cluster, deployment, pods)
            now = f"{len(ready)} of {deployment['spec'].get('replicas', 1)} pods of {release} are ready."
            if now != said:
                log.info(said := now)
        except Temporary as fault:
            if fault.reason is not Reason.CLUSTER_UNAVAILABLE:
                raise
            unanswered = fault
        if clock.monotonic() >= deadline:
            break
        clock.sleep(POLL_SECONDS)
    raise unanswered or _too_late(cluster, service, release, seconds)


def _look(cluster: Cluster, service: str, release: str) -> tuple[Manifest, list[PodState]]:
    deployment = cluster.get("Deployment", names.object_name(release))
    if deployment is None or "deletionTimestamp" in deployment["metadata"]:
        raise Permanent(
            Reason.ROLLOUT_NOT_READY,
            f"The Deployment of {release} in {cluster.namespace} was removed while its pods were awaited; "
            "find out by whom, then release again.",
        )
    return deployment, pods_of(cluster, service, release)


def pods_of(cluster: Cluster, service: str, release: str) -> list[PodState]:
    """The pods of a release."""
    return [PodState.read(pod) for pod in cluster.list("Pod", names.selector(service, release))]


def _complete(deployment: Manifest, ready: Sequence[PodState]) -> bool:
    status = deployment.get("status") or {}
    wanted = deployment["spec"].get("replicas", 1)
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
    return bool(observed and 0 < wanted <= min(len(ready), status.get("readyReplicas") or 0))


def _give_up_early(cluster: Cluster, deployment: Manifest, pods: Sequence[PodState]) -> None:
    for condition in (deployment.get("status") or {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            raise Permanent(
                Reason.ROLLOUT_REFUSED,
                f"Namespace {cluster.namespace} refuses the pods of {deployment['metadata']['name']}: "
                f"{condition.get('message', 'no reason given')}",
            )
    for pod in pods:
        if pod.hopeless and not pod.deleting:
            kind = Temporary if pod.may_pass else Permanent
            raise kind(Reason.ROLLOUT_NOT_READY, f"Pod {pod.name} {pod.hopeless}{_details(cluster, pod)}")


def _too_late(cluster: Cluster, service: str, release: str, seconds: float) -> Permanent | Temporary:
    pods = pods_of(cluster, service, release)
    unready = [pod for pod in pods if not pod.ready]
    start = f"The pods of {release} in {cluster.namespace} were not ready within {seconds:g} s"
    if not unready:
        return Permanent(Reason.ROLLOUT_NOT_READY, f"{start}: the cluster made {len(pods)} of them; see its events.")
    pod = unready[0]
    if pod.unschedulable:
        return Temporary(Reason.ROLLOUT_NOT_READY, f"{start}: no node takes pod {pod.name}: {pod.unschedulable}")
    return Permanent(Reason.ROLLOUT_NOT_READY, f"{start}: pod {pod.name} is {pod.phase}{_details(cluster, pod)}")


def _details(cluster: Cluster, pod: PodState) -> str:
    """` (OOMKilled): …its last words…`, as far as there are any."""
    how = pod.ended or pod.waiting
    warning = _warning(cluster, pod.name)
    words = pod.ended_message or cluster.last_words(pod.name)
    told = [text for text in (pod.waiting_message or warning, _last_lines(words)) if text]
    return (f" ({how})" if how else "") + (": " + " — ".join(told) if told else ".")


def _warning(cluster: Cluster, pod: str) -> str:
    """The newest warning that the cluster gave about the pod."""
    events = cluster.list("Event", fields={"involvedObject.kind": "Pod", "involvedObject.name": pod})
    warnings = [event for event in events if event.get("type") == "Warning"]
    newest = max(warnings, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "", default={})
    return " ".join(str(newest.get("message", "")).split())[:500]


def counted(pods: int) -> str:
    """`1 pod`, `2 pods`."""
    return f"{pods} pod" if pods == 1 else f"{pods} pods"


def _last_lines(words: str) -> str:
    """The end of a log, short enough for a sentence."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-500:]
