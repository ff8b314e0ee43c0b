"""An image registry in memory."""

from __future__ import annotations

from typing import Any

from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.entities.stored_image import StoredImage
from nightferry.errors import NightferryError, Permanent


class MemoryRegistry:
    """Keeps tags and images. Set `fault` to make every call fail with it."""

    def __init__(self) -> None:
        self.tagged: dict[tuple[str, str], str] = {}
        self.images: dict[ImageRef, dict[str, str]] = {}
        """Every image with its labels."""
        self.configs: dict[str, dict[str, Any]] = {}
        """By digest, what an image's configuration says beside its labels."""
        self.blobs: dict[str, dict[str, int]] = {}
        """By the image's digest, its configuration and layers with their sizes."""
        self.parts: dict[str, tuple[str, ...]] = {}
        """By the digest of an index, the images that it names."""
        self.lost: set[str] = set()
        """Blobs that the storage lost."""
        self.locked: set[ImageRef] = set()
        """Images that it does not delete."""
        self.deleted: list[ImageRef] = []
        self.fault: NightferryError | None = None

    def push(
        self,
        image: ImageRef,
        tags: tuple[str, ...],
        labels: dict[str, str] | None = None,
        blobs: dict[str, int] | None = None,
    ) -> None:
        """What a builder does."""
        self.images[image] = labels or {}
        self.blobs.setdefault(image.digest, blobs or {})
        for tag in tags:
            self.tagged[image.repository, tag] = image.digest

    def repository(self, name: str) -> set[str]:
        """The digests of all images in a repository."""
        return {image.digest for image in self.images if image.repository == name}

    def find(self, repository: str, tag: str) -> ImageRef | None:
        self._check()
        digest = self.tagged.get((repository, tag))
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

    def tags(self, repository: str) -> tuple[str, ...]:
        self._check()
        return tuple(sorted(tag for name, tag in self.tagged if name == repository))

    def stored(self, image: ImageRef) -> StoredImage | None:
        self._check()
        if image not in self.images:
            return None
        parts = self.parts.get(image.digest, ())
        blobs = {name: size for one in (image.digest, *parts) for name, size in self.blobs.get(one, {}).items()}
        return StoredImage(image, {one: 100 for one in (image.digest, *parts)} | blobs, parts)

    def missing(self, image: ImageRef) -> tuple[str, ...]:
        stored = self.stored(image)
        return (image.digest,) if stored is None else tuple(name for name in stored.blobs if name in self.lost)

    def delete(self, image: ImageRef) -> bool:
        self._check()
        if image not in self.images:
            return False
        if image in self.locked:
            raise Permanent(Reason.REGISTRY_DELETE_DENIED, f"{image} is locked.")
        del self.images[image]
        for name in [
            name for name, digest in self.tagged.items() if (name[0], digest) == (image.repository, image.digest)
        ]:
            del self.tagged[name]
        self.deleted.append(image)
        return True

    def _check(self) -> None:
        if self.fault:
            raise self.fault
