"""An image registry in memory."""

from __future__ import annotations

from typing import Any

from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent


class MemoryRegistry:
    """Keeps tags and images. Set `fault` to make every call fail with it."""

    def __init__(self) -> None:
        self.tags: dict[tuple[str, str], str] = {}
        self.images: dict[ImageRef, dict[str, str]] = {}
        """Every image with its labels."""
        self.configs: dict[str, dict[str, Any]] = {}
        """By digest, what an image's configuration says beside its labels."""
        self.fault: NightferryError | None = None

    def push(self, image: ImageRef, tags: tuple[str, ...], labels: dict[str, str] | None = None) -> None:
        """What a builder does."""
        self.images[image] = labels or {}
        for tag in tags:
            self.tags[image.repository, tag] = image.digest

    def repository(self, name: str) -> set[str]:
        """The digests of all images in a repository."""
        return {image.digest for image in self.images if image.repository == name}

    def find(self, repository: str, tag: str) -> ImageRef | None:
        self._check()
        digest = self.tags.get((repository, tag))
        return None if digest is None else ImageRef(repository, digest)

    def copy(self, image: ImageRef, repository: str, tags: tuple[str, ...]) -> ImageRef:
        labels = self.config(image)["Labels"]
        copied = ImageRef(repository, image.digest)
        self.push(copied, tags, labels)
        return copied

    def config(self, image: ImageRef) -> dict[str, Any]:
        self._check()
        if image not in self.images:
            raise Permanent(Reason.IMAGE_UNKNOWN, f"There is no {image}.")
        return {"Labels": self.images[image], **self.configs.get(image.digest, {})}

    def _check(self) -> None:
        if self.fault:
            raise self.fault
