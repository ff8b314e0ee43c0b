"""What a registry keeps of an image, and how much room it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nightferry.entities.image_ref import ImageRef


@dataclass(frozen=True)
class StoredImage:
    """A manifest and what it names."""

    image: ImageRef
    blobs: Mapping[str, int]
    """Digest -> bytes: the manifest itself, its configuration and its layers; of an index, those of all its images."""
    parts: tuple[str, ...] = ()
    """The digests of the images that an index names; none of an image."""

    @property
    def size(self) -> int:
        """Bytes, each layer counted once."""
        return sum(self.blobs.values())


def freed_by(going: Sequence[StoredImage], staying: Sequence[StoredImage]) -> int:
    """How many bytes nothing names any more once some images are gone: a layer that another image has stays."""
    needed = {digest for one in staying for digest in one.blobs}
    freed = {digest: size for one in going for digest, size in one.blobs.items() if digest not in needed}
    return sum(freed.values())
