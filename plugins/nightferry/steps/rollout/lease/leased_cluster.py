"""A cluster whose service has a Lease: nothing is changed by a process that has lost it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.steps.rollout.lease.claim import Claim
from nightferry.steps.rollout.lease.lease import RENEW_SECONDS, Lease

Open = Callable[[Callable[[Cluster], Cluster]], Cluster]
"""Opens a namespace; what is given is put around the cluster, within its patience: a call that is repeated after the
server was away is looked at again."""


class LeasedCluster:
    """Makes sure of the Lease before every change. Reading needs it only where that is asked for; but who had it once
    and has lost it reads nothing more either, and so does not take for a fault what the next one does."""

    def __init__(self, cluster: Cluster, claim: Claim, clock: Clock, *, at_once: bool) -> None:
        """With `at_once` the first call takes the Lease, else the first change."""
        self._cluster, self._at_once = cluster, at_once
        self.lease = Lease(cluster, claim, clock)

    @property
    def namespace(self) -> str:
        """The namespace that every name is looked up in."""
        return self._cluster.namespace

    def take(self) -> None:
        """Have the next call take the Lease, also one that only reads."""
        self._at_once = True

    def get(self, kind: str, name: str) -> Manifest | None:
        """As `Cluster.get`."""
        self._read()
        return self._cluster.get(kind, name)

    def list(
        self, kind: str, labels: Mapping[str, str] | None = None, fields: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        """As `Cluster.list`."""
        self._read()
        return self._cluster.list(kind, labels, fields)

    def create(self, manifest: Manifest) -> Manifest | None:
        """As `Cluster.create`."""
        self.lease.check()
        return self._cluster.create(manifest)

    def apply(self, manifest: Manifest) -> Manifest:
        """As `Cluster.apply`."""
        self.lease.check()
        return self._cluster.apply(manifest)

    def patch(self, kind: str, name: str, changes: Manifest) -> Manifest | None:
        """As `Cluster.patch`."""
        self.lease.check()
        return self._cluster.patch(kind, name, changes)

    def delete(self, kind: str, name: str, resource_version: str | None = None) -> bool:
        """As `Cluster.delete`."""
        self.lease.check()
        return self._cluster.delete(kind, name, resource_version)

    def last_words(self, pod: str, lines: int = 10, container: str = "") -> str:
        """As `Cluster.last_words`."""
        return self._cluster.last_words(pod, lines, container)

    def _read(self) -> None:
        self.lease.check(to_read=not self._at_once)


@dataclass(frozen=True)
class Hold:
    """A namespace that is changed under a Lease."""

    cluster: Cluster
    take: Callable[[], None]
    """Have the next call take the Lease, also one that only reads."""
    lease: Lease


@contextmanager
def hold(open: Open, claim: Claim, clock: Clock, *, at_once: bool, beating: bool = True) -> Iterator[Hold]:
    """Open a namespace under the Lease of a service; it is given back in the end.

    A thread renews it: a step may ask golden examples or a slow record for longer than the Lease lasts. The thread
    stops when the work has not asked the cluster anything for `SILENT_SECONDS`, so a process that hangs loses it.

    Args:
        open: opens the namespace.
        claim: what the Lease is wanted for.
        clock: for waits and times.
        at_once: whether reading takes the Lease too.
        beating: whether the thread runs; a test whose clock stands still has none.
    """
    made: list[LeasedCluster] = []

    def guard(cluster: Cluster) -> Cluster:
        made.append(LeasedCluster(cluster, claim, clock, at_once=at_once))
        return made[0]

    cluster = open(guard)
    (leased,) = made
    ended = threading.Event()
    if beating:
        threading.Thread(target=_beat, args=(leased.lease, ended), daemon=True, name="lease").start()
    try:
        yield Hold(cluster, leased.take, leased.lease)
    finally:
        ended.set()
        leased.lease.let_go()


def _beat(lease: Lease, ended: threading.Event) -> None:
    while not ended.wait(RENEW_SECONDS):
        lease.keep()
