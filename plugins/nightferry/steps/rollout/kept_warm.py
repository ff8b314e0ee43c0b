"""Which pods of a namespace are kept warm for going back: what they hold becomes free when they are let go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.manifests import names


@dataclass
class Warm:
    """A release that is kept warm, or whose pods are on their way out."""

    release: str
    until: str
    """How long its pods stay (UTC); empty when they are ending already."""
    pods: list[Manifest] = field(default_factory=list)

    def __str__(self) -> str:
        count = f"{len(self.pods)} pod" + ("" if len(self.pods) == 1 else "s")
        return f"{self.release} ({count}, " + (f"warm until {self.until})" if self.until else "ending)")


def kept_warm(cluster: Cluster, pods: Sequence[Manifest] | None = None) -> list[Warm]:
    """The releases of all services in the namespace whose pods will go by themselves, with these pods.

    Args:
        cluster: the namespace.
        pods: Nightferry's pods in it, where they are known.

    Raises:
        Permanent: (cluster_denied)   Temporary: (cluster_unavailable)
    """
    ours = {names.MANAGED_BY: "nightferry"}
    until = {
        notes[names.RELEASE]: notes[names.WARM_UNTIL]
        for notes in map(names.annotations_of, cluster.list("Deployment", ours))
        if names.RELEASE in notes and names.WARM_UNTIL in notes
    }
    found: dict[str, Warm] = {}
    for pod in cluster.list("Pod", ours) if pods is None else pods:
        release = names.annotations_of(pod).get(names.RELEASE, "")
        ending = "deletionTimestamp" in pod["metadata"]
        if release and not _over(pod) and (ending or release in until):
            found.setdefault(release, Warm(release, until.get(release, ""))).pods.append(pod)
    return [found[release] for release in sorted(found)]


def named(warm: Sequence[Warm]) -> str:
    """`digits-2026-11-20.1 (2 pods, warm until …), …`."""
    return ", ".join(map(str, warm[:5])) + (f" and {len(warm) - 5} more" if len(warm) > 5 else "")


def _over(pod: Mapping[str, Manifest]) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
