"""Look at what the registry has of a service, and at what record and clusters need of it."""

from __future__ import annotations

from collections.abc import Callable

from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.clients.doors.image_registry import ImageRegistry
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.service_spec import ServiceSpec
from nightferry.manifests import names
from nightferry.steps.image.keep import Found, Running, Sight
from nightferry.steps.image.on_record import ImagesOnRecord
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import state_of

OpenCluster = Callable[[str, str], Cluster]
"""`(connection, namespace)` -> the namespace."""
Tell = Callable[[str], None]
"""Is told how far it is, often."""


class Lookout:
    """Looks at a service's record and clusters, as often as it is asked; the record is read to the end once.

    What cannot be looked at is an error, and no sight: whoever removes something removes nothing then.
    """

    def __init__(
        self, spec: ServiceSpec, ledger: LedgerStore, open_cluster: OpenCluster, tell: Tell = lambda _: None
    ) -> None:
        """Store what to look at; nothing is opened.

        Args:
            spec: the service file. Namespaces of releases that the record still holds are looked at, too.
            ledger: the record.
            open_cluster: opens a namespace by its connection.
            tell: is told how far it is.
        """
        self._spec = spec
        self._ledger = ledger
        self._open = open_cluster
        self._tell = tell
        self._clusters: dict[tuple[str, str], Cluster] = {}
        self._record = ImagesOnRecord()

    def look(self) -> Sight:
        """What is so now.

        Raises:
            Permanent: (cluster_denied, storage_denied, ledger_broken, ledger_missing, ledger_newer, setting_missing)
            Temporary: (cluster_unavailable, storage_unavailable)
        """
        chain = Chain(self._ledger, self._spec.service)
        self._record.catch_up(chain, self._tell)
        running = tuple(one for place in self._places(chain) for one in self._running(place))
        # Once more: what came to the clusters after they were looked at was decided before.
        chain = Chain(self._ledger, self._spec.service)
        self._record.catch_up(chain, self._tell)
        return Sight(state_of(chain), self._record, running)

    def _places(self, chain: Chain) -> list[tuple[str, str]]:
        now = {(one.cluster, one.namespace) for one in self._spec.environments}
        before = (self._record.places.get(release, set()) for release in state_of(chain).decided)
        return sorted(now.union(*before))

    def _running(self, place: tuple[str, str]) -> list[Running]:
        if place not in self._clusters:
            self._clusters[place] = self._open(*place)
        cluster, service = self._clusters[place], self._spec.service
        stable = cluster.get("Service", service)
        current = names.annotations_of(stable).get(names.RELEASE) if stable else None
        found = [(one, images_of(one)) for one in cluster.list("Deployment", names.labels(service))]
        if stable:
            found.append((stable, images_of(stable)))
        return [
            Running(place[1], release := _release(one), image, in_use=release == current)
            for one, images in found
            for image in sorted(images)
        ]


def images_of(manifest: Manifest) -> set[str]:
    """The images by digest that an object says it is made of, and that its pods are."""
    pods = ((manifest.get("spec") or {}).get("template") or {}).get("spec") or {}
    named = [names.annotations_of(manifest).get(names.IMAGE, ""), *(one["image"] for one in pods.get("containers", []))]
    return {image for image in named if "@sha256:" in image}


def survey(registry: ImageRegistry, spec: ServiceSpec, tell: Tell = lambda _: None) -> list[Found]:
    """Every image with a tag in the service's two repositories, the candidates first.

    Raises:
        Permanent: (registry_denied)   Temporary: (registry_unavailable)
    """
    found = []
    for repository in (spec.image.candidates, spec.image.repository):
        listed = registry.tags(repository)
        tags: dict[ImageRef, list[str]] = {}
        for number, tag in enumerate(listed, start=1):
            tell(f"{repository}: looked at {number} of {len(listed)} tags")
            image = registry.find(repository, tag)
            if image:
                tags.setdefault(image, []).append(tag)
        for number, (image, names_) in enumerate(tags.items(), start=1):
            tell(f"{repository}: measured {number} of {len(tags)} images")
            stored = registry.stored(image)
            if stored:
                found.append(Found(stored, tuple(names_)))
    return found


def _release(manifest: Manifest) -> str:
    return names.annotations_of(manifest).get(names.RELEASE) or str(manifest["metadata"]["name"])
