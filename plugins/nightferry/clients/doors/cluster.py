"""The door to one namespace of a Kubernetes cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from nightferry.entities.reason import Reason
from nightferry.errors import Temporary

Manifest = dict[str, Any]
"""A Kubernetes object as JSON: {"apiVersion", "kind", "metadata", "spec", …}."""

FIELD_MANAGER = "nightferry"
"""Who owns the fields that a release sets."""


class ClusterConflict(Temporary):
    """Someone else changed the object since it was read: read it again, and decide again."""


class ClusterAway(Temporary):
    """The API server did not answer, or could not serve the call for now: the same call may succeed in a moment."""

    def __init__(self, reason: Reason, sentence: str, retry_after: float = 0.0) -> None:
        super().__init__(reason, sentence)
        self.retry_after = retry_after
        """How many seconds the server asked to be left alone; 0 when it did not say."""


class QuotaExceeded(Temporary):
    """The namespace's quota has no room for the object: it may have when something else is gone."""


class Cluster(Protocol):
    """Reads and changes the objects of one namespace.

    Every method raises:
        Permanent: (cluster_denied: credentials or rights are missing; rollout_refused: the cluster does not accept
            the object, or its policies forbid it; gateway_missing: it does not know the kind, since nobody installed
            the Gateway API there)
        Temporary: (cluster_unavailable; rollout_refused: QuotaExceeded)
    """

    @property
    def namespace(self) -> str:
        """The namespace that every name is looked up in."""
        ...

    def get(self, kind: str, name: str) -> Manifest | None:
        """The object, None when there is none."""
        ...

    def list(
        self, kind: str, labels: Mapping[str, str] | None = None, fields: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        """The objects that carry these labels and these values at these field paths."""
        ...

    def create(self, manifest: Manifest) -> Manifest | None:
        """Create the object; None when the name is taken.

        Raises:
            ClusterConflict: another change came between, such as one of the namespace's quota.
        """
        ...

    def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply: the object has these fields, and fields applied before but not now are gone.

        With `metadata.uid` and `metadata.resourceVersion` in the manifest only that very state of that very object is
        changed; without the uid an object that is gone would be made anew.

        Raises:
            ClusterConflict: the object is another one by now, or there is none any more.
        """
        ...

    def patch(self, kind: str, name: str, changes: Manifest) -> Manifest | None:
        """Merge `changes` into the object (None removes a field); None when there is no object.

        `metadata.resourceVersion` works as in `apply`. Raises as `apply`.
        """
        ...

    def delete(self, kind: str, name: str, resource_version: str | None = None) -> bool:
        """Delete the object and, in the background, what it owns; whether it was there.

        Raises:
            ClusterConflict: `resource_version` is given and the object has another one.
        """
        ...

    def last_words(self, pod: str, lines: int = 10, container: str = "") -> str:
        """The last lines of a container's log, before its crash if it was started again; empty when unknown.

        A pod with several containers needs the container's name.
        """
        ...
