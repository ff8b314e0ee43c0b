"""What is left after a fault: is the right release in use, was anything done twice, does anything lie about?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.drill.trial import Trial
from nightferry.entities.fact_key import FactKey, step_of
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError
from nightferry.manifests import names
from nightferry.steps.record.ledger import Chain, verify
from nightferry.steps.rollout.await_ready import pods_of
from nightferry.steps.rollout.settle_releases import deployments_of
from nightferry.steps.rollout.switch_service import in_use

POLL_SECONDS = 0.2


def wait(trial: Trial, done: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; what cannot be looked at for a moment is not so yet."""
    clock = trial.doors.clock
    deadline = clock.monotonic() + seconds
    while True:
        try:
            if done():
                return True
        except NightferryError:
            pass
        if clock.monotonic() >= deadline:
            return False
        clock.sleep(POLL_SECONDS)


def is_back(trial: Trial, release: str) -> bool:
    """Whether the release is in use, every pod that it wants is ready, and no others take requests."""
    cluster = trial.doors.cluster
    if trial.in_use() != release:
        return False
    deployment = cluster.get("Deployment", names.object_name(release))
    if deployment is None:
        return False
    pods = [pod for pod in pods_of(cluster, trial.service, release) if not pod.deleting and not pod.over]
    return len(pods) == deployment["spec"].get("replicas", 1) and all(pod.ready for pod in pods)


def duplicates(trial: Trial) -> list[str]:
    """What was done, or written down, more than once; and a record that does not hold together."""
    entries = list(Chain(trial.doors.ledger, trial.service))
    verify(trial.doors.ledger, trial.service)
    found = [f"fact {key}" for key, count in Counter(entry.key for entry in entries).items() if count > 1]
    moves = Counter(
        (entry.release, step_of(entry.key))
        for entry in entries
        if entry.reason in (Reason.ROLLED_OUT, Reason.VERIFIED) and not _failed(entry.key)
    )
    found += [f"{step} of {release}" for (release, step), count in moves.items() if count > 1]
    made = Counter(
        names.annotations_of(one).get(names.RELEASE, "")
        for one in trial.doors.cluster.list("Deployment", names.labels(trial.service))
    )
    return found + [f"Deployment of {release}" for release, count in made.items() if count > 1]


def _failed(key: str) -> bool:
    found = FactKey.parse(key)
    return bool(found and found.outcome)


def orphans(trial: Trial, seconds: float = 60.0) -> list[str]:
    """What nobody needs and nobody will remove, once what ends had time to end."""
    found: list[str] = []

    def none() -> bool:
        found[:] = _orphans(trial.doors.cluster, trial.service)
        return not found

    wait(trial, none, seconds)
    return found


def _orphans(cluster: Cluster, service: str) -> list[str]:
    stable = cluster.get("Service", service)
    current, deployments = in_use(stable), deployments_of(cluster, service)
    unused = [
        f"Deployment of {release}"
        for release, one in deployments.items()
        if release != current and names.SERVED not in names.annotations_of(one)
    ]
    owned = {release for release, one in deployments.items() if one["spec"].get("replicas", 1)}
    pods: list[Manifest] = list(cluster.list("Pod", names.labels(service)))
    alone = [
        f"pod {one['metadata']['name']}" for one in pods if one["metadata"]["labels"].get(names.VERSION) not in owned
    ]
    return unused + alone
