"""A cluster that is asked again while its API server is away for a moment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, ClusterAway, ClusterConflict, Manifest
from nightferry.errors import NightferryError

PATIENCE_SECONDS = 30.0
"""How long a server that restarts, a webhook or a load balancer may take, all calls together."""
_PAUSES = (0.5, 1.0, 2.0, 4.0)
_Answer = TypeVar("_Answer")
log = logging.getLogger(__name__)


class PatientCluster:
    """Repeats the calls of `cluster` that it could not serve for a moment.

    Every call may be repeated although the first one was carried out unseen: applying, merging and deleting the same
    ends the same, creating finds the name taken, and whatever is bound to a state meets another one.

    The patience counts from the last answer on, not for each call: a server that stays away costs it once, and
    whoever asks after that is told at once.
    """

    def __init__(self, cluster: Cluster, clock: Clock, patience: float = PATIENCE_SECONDS) -> None:
        self._cluster = cluster
        self._clock = clock
        self._patience = patience
        self._away_since: float | None = None

    @property
    def namespace(self) -> str:
        """The namespace that every name is looked up in."""
        return self._cluster.namespace

    def get(self, kind: str, name: str) -> Manifest | None:
        """As `Cluster.get`."""
        return self._ask(lambda: self._cluster.get(kind, name))

    def list(
        self, kind: str, labels: Mapping[str, str] | None = None, fields: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        """As `Cluster.list`."""
        return self._ask(lambda: self._cluster.list(kind, labels, fields))

    def create(self, manifest: Manifest) -> Manifest | None:
        """As `Cluster.create`."""
        return self._ask(lambda: self._cluster.create(manifest), conflicts=True)

    def apply(self, manifest: Manifest) -> Manifest:
        """As `Cluster.apply`."""
        return self._ask(lambda: self._cluster.apply(manifest), conflicts=not _bound(manifest))

    def patch(self, kind: str, name: str, changes: Manifest) -> Manifest | None:
        """As `Cluster.patch`."""
        return self._ask(lambda: self._cluster.patch(kind, name, changes), conflicts=not _bound(changes))

    def delete(self, kind: str, name: str, resource_version: str | None = None) -> bool:
        """As `Cluster.delete`."""
        return self._ask(lambda: self._cluster.delete(kind, name, resource_version), conflicts=not resource_version)

    def last_words(self, pod: str, lines: int = 10, container: str = "") -> str:
        """As `Cluster.last_words`; asked once, since nothing depends on them."""
        return self._cluster.last_words(pod, lines, container)

    def _ask(self, call: Callable[[], _Answer], conflicts: bool = False) -> _Answer:
        """What the call gives; with `conflicts` a conflict is no answer either: it is about no state that was read."""
        tries = 0
        while True:
            try:
                answer = call()
            except ClusterAway as fault:
                self._wait(fault, fault.retry_after, tries)
            except NightferryError as fault:
                if not (conflicts and isinstance(fault, ClusterConflict)):
                    self._away_since = None
                    raise
                self._wait(fault, 0.0, tries)
            else:
                self._away_since = None
                return answer
            tries += 1

    def _wait(self, fault: NightferryError, asked: float, tries: int) -> None:
        """Pause before the next try; raise the fault when the patience is over."""
        now = self._clock.monotonic()
        if self._away_since is None:
            self._away_since = now
        pause = max(asked, _PAUSES[min(tries, len(_PAUSES) - 1)])
        if now + pause > self._away_since + self._patience:
            raise fault
        log.info("Asking again in %g s: %s", pause, fault.sentence)
        self._clock.sleep(pause)


def _bound(manifest: Manifest) -> bool:
    """Whether the change is about one state of one object."""
    return any(name in manifest.get("metadata", {}) for name in ("uid", "resourceVersion"))
