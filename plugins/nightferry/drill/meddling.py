"""A cluster that does something else than it is told: the drill's way to put a fault into a release's pods."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from nightferry.clients.doors.cluster import Cluster, Manifest

Change = Callable[[Manifest], None]
"""Changes a container of a Deployment that is about to be made."""


class MeddlingCluster:
    """Passes every call on; a Deployment's container is changed before."""

    def __init__(
        self, cluster: Cluster, change: Change | None = None, after: Callable[[Manifest], None] | None = None
    ) -> None:
        self._cluster, self._change, self._after = cluster, change, after

    def apply(self, manifest: Manifest) -> Manifest:
        """As `Cluster.apply`; `after` is called once a Deployment was made, and with what."""
        deployment = manifest["kind"] == "Deployment"
        if deployment and self._change:
            manifest = copy.deepcopy(manifest)
            self._change(manifest["spec"]["template"]["spec"]["containers"][0])
        made = self._cluster.apply(manifest)
        if deployment and self._after:
            after, self._after = self._after, None
            after(made)
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)
