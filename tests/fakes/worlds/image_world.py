"""A rollout world with a registry: releases a day apart, each with an image under its two tags, and its candidate."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nightferry.clients.doors.cluster import Cluster
from nightferry.entities.candidate import Candidate
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.probe_report import Fault
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import NightferryError
from nightferry.manifests import names
from nightferry.steps.image.build_image import inputs_tag
from nightferry.steps.image.keep import Judged, judge
from nightferry.steps.image.look import Lookout, survey
from nightferry.steps.image.prune import Pruned, Rule, prune
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain, append

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.memory.memory_registry import MemoryRegistry
from tests.fakes.worlds.rollout_world import SPEC, World, image

REPOSITORY = "registry.example/digits"
CANDIDATES = f"{REPOSITORY}-candidates"
PRODUCTION = {"name": "production", "namespace": "production"}


class ImageWorld(World):
    """`release` does what a night does; `judged` and `prune` what a person's command does."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = MemoryRegistry()
        self.elsewhere: dict[tuple[str, str], MemoryCluster] = {}
        """Namespaces beside production; each is made when it is first looked at."""

    @property
    def service(self) -> ServiceSpec:
        """The service file."""
        return ServiceSpec.model_validate(SPEC)

    def publish(self, release: str) -> ImageRef:
        """Decide on a release, and push its image as candidate and as release."""
        self.decide(release, **PRODUCTION)
        made = ImageRef.parse(image(release))
        blobs = {"sha256:" + "b" * 64: 50_000_000, f"layer of {release}": 1_000_000}
        tag = self.inputs(release)
        self.registry.push(ImageRef(CANDIDATES, made.digest), (tag,), blobs=blobs)
        self.registry.push(made, (release, tag), blobs=blobs)
        return made

    def release(self, release: str, *, wrong: bool = False) -> None:
        """A day later: publish it, and send users to it; where it is wrong, they are with the one before again."""
        self.clock.advance(24 * 3600)
        self.publish(release)
        self.roll_out(release, **PRODUCTION)
        if wrong:
            self.faults[release] = Fault(kind="golden", sentence="wrong")
        with suppress(NightferryError):
            self.verify(release, **PRODUCTION)
        ended = {"reason": Reason.VERIFY_GOLDEN_WRONG if wrong else Reason.RELEASED, "sentence": "It ended."}
        append(
            self.ledger,
            self.clock,
            service="digits",
            kind=Kind.RELEASE,
            key=f"{release}/release",
            release=release,
            actor="schedule",
            **ended,
        )

    def inputs(self, release: str) -> str:
        """The tag of what a release was decided on."""
        return inputs_tag(Candidate.model_validate(release_entries(self.ledger, release)[0].data["candidate"]))

    def forget(self, release: str) -> None:
        """Remove the release's Deployment, as the retiring run does in the end."""
        self.cluster.delete("Deployment", names.object_name(release))

    def open_cluster(self, connection: str, namespace: str) -> Cluster:
        """Production is the world's own; others are empty at first."""
        if namespace == "production":
            return self.cluster
        return self.elsewhere.setdefault((connection, namespace), MemoryCluster(self.clock, namespace))

    def lookout(self) -> Lookout:
        """Looks at this world."""
        return Lookout(self.service, self.ledger, self.open_cluster)

    def judged(self, keep: int = 3, days: float = 7) -> list[Judged]:
        """Every image, and why it is kept."""
        found, older = survey(self.registry, self.service), dt.timedelta(days=days)
        return judge(found, self.lookout().look(), keep=keep, older_than=older, now=self.clock.now())

    def going(self, keep: int = 3, days: float = 7) -> set[str]:
        """The releases whose images could go; of candidates, with a `c:` before."""
        short = {CANDIDATES: "c:", REPOSITORY: ""}
        return {f"{short[one.image.repository]}{one.release}" for one in self.judged(keep, days) if not one.why}

    def prune(self, keep: int = 3, days: float = 7, between: Callable[[], Any] = lambda: None) -> Pruned:
        """Look, let something happen in between, and remove what could go."""
        judged, lookout = self.judged(keep, days), self.lookout()
        between()
        return prune(
            judged,
            Rule(keep, dt.timedelta(days=days)),
            registry=self.registry,
            look=lookout.look,
            ledger=self.ledger,
            clock=self.clock,
            service="digits",
            actor="ana",
        )

    def told(self) -> list[LedgerEntry]:
        """The record's entries about images, oldest first."""
        return [entry for entry in reversed(list(Chain(self.ledger, "digits"))) if entry.kind == "images"]
