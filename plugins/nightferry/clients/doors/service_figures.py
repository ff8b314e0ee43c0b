"""The door to what a release's pods count of its users' requests."""

from __future__ import annotations

from typing import Protocol

from nightferry.entities.judging.service_figures import Snapshot


class ServiceFigures(Protocol):
    """Reads a release's figures. One reader is kept for as long as its snapshots are compared: it remembers each pod's
    counts, so that what a pod counted before it was first seen, or lost when it ended, does not count."""

    def read(self, release: str) -> Snapshot | None:
        """What was counted since this reader first looked at the release; None: it has no such figures.

        Raises:
            Permanent: (cluster_denied) the pods may not be listed.
            Temporary: (figures_unavailable, cluster_unavailable) it could not be looked at.
        """
        ...
