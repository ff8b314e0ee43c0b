"""Whether the namespace's quotas have room for a release's pods: looked at before anything is made.

A ResourceQuota counts what the pods of a namespace ask for, not what they use; pods of a release that is kept warm
count like any other. (Kubernetes: Resource Quotas.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest, QuotaExceeded
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.manifests import names
from nightferry.steps.rollout.kept_warm import Warm, kept_warm, named

WAIT_SECONDS = 180.0
"""How long releases kept warm are waited for. With a task's four tries it is longer than two retire runs are apart."""
LOOK_SECONDS = 5.0
_COUNTS = {"cpu": "requests.cpu", "memory": "requests.memory", "ephemeral-storage": "requests.ephemeral-storage"}
_OURS = frozenset({"NotTerminating", "NotBestEffort"})
"""The scopes that a release's pods are in: they run on, and they ask for something."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shortage:
    """A quota's resource that does not suffice."""

    quota: str
    resource: str
    wanted: Decimal
    used: str
    hard: str
    enough_later: bool
    """Whether it suffices once the releases kept warm are let go."""

    def __str__(self) -> str:
        wanted = _written(self.resource, self.wanted)
        return f"{self.resource} of quota {self.quota}: wanted {wanted}, used {self.used} of {self.hard}"


def await_quota(
    cluster: Cluster,
    deployment: Manifest,
    *,
    clock: Clock,
    seconds: float = WAIT_SECONDS,
    let_go: Callable[[], object] = lambda: None,
) -> None:
    """As `check_quota`, but waits up to `seconds` for releases kept warm to be let go.

    Args:
        let_go: lets those of this service go whose warm time is over. The retiring run does not while this one waits:
            one at a time works on a service.
    """
    deadline = clock.monotonic() + seconds
    said = ""
    while True:
        try:
            return check_quota(cluster, deployment)
        except QuotaExceeded as fault:
            if clock.monotonic() >= deadline:
                raise
            if fault.sentence != said:
                log.warning("%s Waiting up to %g s.", said := fault.sentence, seconds)
        let_go()
        clock.sleep(LOOK_SECONDS)


def check_quota(cluster: Cluster, deployment: Manifest, scopes: Set[str] = _OURS) -> None:
    """Look whether the pods that a release's Deployment still lacks fit into the namespace's quotas.

    Quotas that may not be read, and what this does not understand of one, are left to the cluster to judge.

    Args:
        cluster: the namespace.
        deployment: the release's Deployment, made already or not, or what else makes its pods.
        scopes: those of quotas that count these pods.

    Raises:
        Permanent: (rollout_refused) they cannot fit.
        QuotaExceeded: (rollout_refused) they fit once releases kept warm are let go.
        Temporary: (cluster_unavailable)
    """
    quotas = _quotas(cluster)
    if not quotas:
        return
    release = names.annotations_of(deployment).get(names.RELEASE, deployment["metadata"]["name"])
    pods = cluster.list("Pod", {names.MANAGED_BY: "nightferry"})
    lacking = deployment["spec"].get("replicas", 1) - sum(_is_of(pod, release) for pod in pods)
    template = deployment["spec"]["template"]["spec"]
    if lacking <= 0:
        return
    warm = [one for one in kept_warm(cluster, pods) if one.release != release or not one.until]
    try:
        short = list(_shortages(quotas, template, lacking, warm, scopes))
    except ValueError:  # what is asked for is no quantity: the cluster says so
        return
    if not short:
        return
    count = "1 pod" if lacking == 1 else f"{lacking} pods"
    start = f"Namespace {cluster.namespace} has no room for {count} of {release}: {'; '.join(map(str, short))}."
    if all(one.enough_later for one in short):
        raise QuotaExceeded(
            Reason.ROLLOUT_REFUSED,
            f"{start} It suffices once these are let go: {named(warm)}. Wait for that, shorten `warm_minutes`, "
            "or raise the quota.",
        )
    also = f" Letting go of {named(warm)} is not enough." if warm else ""
    raise Permanent(
        Reason.ROLLOUT_REFUSED,
        f"{start}{also} Ask for less in the service file (`replicas`, `resources`), or raise the quota.",
    )


def _quotas(cluster: Cluster) -> Sequence[Manifest]:
    try:
        return cluster.list("ResourceQuota")
    except Permanent as fault:  # roles of before do not have the right: the cluster itself will say what does not fit
        log.warning("The quotas of %s are not looked at: %s", cluster.namespace, fault.sentence)
        return []


def _shortages(
    quotas: Sequence[Manifest],
    template: Mapping[str, Any],
    lacking: int,
    warm: Sequence[Warm],
    scopes: Set[str],
) -> Iterator[Shortage]:
    for quota in quotas:
        status, spec = quota.get("status") or {}, quota.get("spec") or {}
        if not set(spec.get("scopes") or []) <= scopes or spec.get("scopeSelector"):
            continue
        used = status.get("used") or {}
        for resource, hard in (status.get("hard") or spec.get("hard") or {}).items():
            wanted = lacking * _asked(template, resource)
            free = _number(hard) - _number(used.get(resource, "0"))
            if wanted and wanted > free:
                held = sum((_asked(pod["spec"], resource) for one in warm for pod in one.pods), Decimal(0))
                name = quota["metadata"]["name"]
                yield Shortage(name, resource, wanted, str(used.get(resource, "0")), str(hard), wanted <= free + held)


def _asked(pod: Mapping[str, Any], resource: str) -> Decimal:
    """What one pod counts for in a quota; 0 for what is not about pods."""
    if resource in ("pods", "count/pods"):
        return Decimal(1)
    which, _, kind = _COUNTS.get(resource, resource).partition(".")
    if which not in ("requests", "limits") or not kind:
        return Decimal(0)
    running = [one for one in pod.get("initContainers") or [] if one.get("restartPolicy") == "Always"]
    starting = [one for one in pod.get("initContainers") or [] if one not in running]
    together = sum((_of(one, which, kind) for one in [*pod["containers"], *running]), Decimal(0))
    return max([together, *(_of(one, which, kind) for one in starting)])


def _of(container: Mapping[str, Any], which: str, kind: str) -> Decimal:
    resources = container.get("resources") or {}
    limit = (resources.get("limits") or {}).get(kind, "0")
    return _number(limit if which == "limits" else (resources.get("requests") or {}).get(kind, limit))


def _number(quantity: object) -> Decimal:
    """What the API server or a pod says, zero too."""
    from kubernetes.utils import parse_quantity

    return Decimal(parse_quantity(str(quantity)))


def _written(resource: str, amount: Decimal) -> str:
    """An amount as people write it: 300m, 192Mi."""
    if "cpu" in resource and amount % 1:
        return f"{amount * 1000:f}".split(".")[0] + "m"
    if ("memory" in resource or "storage" in resource) and not amount % 2**20:
        return f"{int(amount) // 2**20}Mi"
    return f"{amount.normalize():f}"


def _is_of(pod: Manifest, release: str) -> bool:
    over = (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
    ending = "deletionTimestamp" in pod["metadata"]
    return not over and not ending and names.annotations_of(pod).get(names.RELEASE) == release
