"""Wait until a release's pods are ready, and no longer than there is hope."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from nightferry.clients.clock import Clock
from nightferry.clients.cluster_faults import pods_fault
from nightferry.clients.doors.cluster import Cluster, Manifest, QuotaExceeded
from nightferry.entities.pod_state import PodState
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.steps.rollout.check_quota import check_quota
from nightferry.steps.rollout.unready_pods import details, no_node, too_late

POLL_SECONDS = 0.5
CRASHED = "crashed"
"""The member of a rollout's failure that says that the service itself ended, again and again."""
log = logging.getLogger(__name__)


def await_ready(
    cluster: Cluster,
    service: str,
    release: str,
    *,
    seconds: float,
    clock: Clock,
    say: Callable[[str], None] = log.info,
) -> list[PodState]:
    """Wait until every pod that the release's Deployment wants is ready; these pods.

    A cluster that does not answer for a moment, that cannot make the pods for a moment or that has no room for them
    yet is given the whole time.

    Args:
        cluster: the namespace.
        service: whose pods.
        release: whose pods.
        seconds: how long to wait.
        clock: for the wait.
        say: is told how it goes, and at once when no node takes a pod.

    Raises:
        Permanent: (rollout_not_ready: the pods crash, or were not ready in time, with their own last words;
            rollout_refused: quota or policy forbid the pods; rollout_no_capacity: no node took them)
        Temporary: (rollout_not_ready: the containers could not be started for a reason that is not the release's;
            rollout_refused: releases kept warm hold the quota; cluster_unavailable)
    """
    deadline = clock.monotonic() + seconds
    passing: Temporary | None = None
    said: set[str] = set()
    while True:
        try:
            deployment, pods = _look(cluster, service, release)
            passing = None
            ready = [pod for pod in pods if pod.ready and not pod.deleting]
            if _complete(deployment, ready):
                return ready
            for sentence in _progress(cluster, release, deployment, ready, pods):
                if sentence not in said:
                    say(sentence)
                    said.add(sentence)
            _give_up_early(cluster, deployment, pods)
        except Temporary as fault:
            if fault.reason is not Reason.CLUSTER_UNAVAILABLE and not isinstance(fault, QuotaExceeded):
                raise
            passing = fault
            if fault.sentence not in said:
                say(fault.sentence)
                said.add(fault.sentence)
        if clock.monotonic() >= deadline:
            break
        clock.sleep(POLL_SECONDS)
    raise passing or too_late(cluster, release, pods_of(cluster, service, release), seconds)


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


def _progress(
    cluster: Cluster, release: str, deployment: Manifest, ready: Sequence[PodState], pods: Sequence[PodState]
) -> list[str]:
    wanted = deployment["spec"].get("replicas", 1)
    waiting = next((pod for pod in pods if pod.unschedulable and not pod.deleting), None)
    return [
        f"{len(ready)} of {wanted} pods of {release} are ready.",
        *([f"{no_node(cluster, release, waiting)} A node may still become free."] if waiting else []),
    ]


def refuse_hopeless(cluster: Cluster, pods: Sequence[PodState]) -> None:
    """Give up on pods that will not become ready.

    Raises:
        Permanent: (rollout_not_ready) one crashes, or can never start.
        Temporary: (rollout_not_ready) for a reason that is not the release's; (cluster_unavailable)
    """
    for pod in pods:
        if pod.hopeless and not pod.deleting:
            kind = Crashed if pod.crashes else Temporary if pod.may_pass else Permanent
            raise kind(Reason.ROLLOUT_NOT_READY, f"Pod {pod.name} {pod.hopeless}{details(cluster, pod)}")


def _give_up_early(cluster: Cluster, deployment: Manifest, pods: Sequence[PodState]) -> None:
    refuse_hopeless(cluster, pods)
    for condition in (deployment.get("status") or {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            where = f"the pods of {deployment['metadata']['name']} in namespace {cluster.namespace}"
            fault = pods_fault(condition.get("message", "no reason given"), where)
            if isinstance(fault, QuotaExceeded):
                check_quota(cluster, deployment)  # it knows whether waiting helps
            raise fault


class Crashed(Permanent):
    """The service ended by itself, again and again."""


def counted(pods: int) -> str:
    """`1 pod`, `2 pods`."""
    return f"{pods} pod" if pods == 1 else f"{pods} pods"
