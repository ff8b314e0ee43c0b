"""The door to the image registry (OCI distribution API)."""

from __future__ import annotations

from typing import Any, Protocol

from nightferry.entities.image_ref import ImageRef
from nightferry.entities.stored_image import StoredImage


class ImageRegistry(Protocol):
    """Finds, copies, counts and removes images."""

    def find(self, repository: str, tag: str) -> ImageRef | None:
        """The image that a tag names now, by digest; None when there is none.

        Raises:
            Permanent: (registry_denied)   Temporary: (registry_unavailable)
        """
        ...

    def copy(self, image: ImageRef, repository: str, tags: tuple[str, ...]) -> ImageRef:
        """The same image, same digest, in another repository of the same registry, under these tags.

        Done again it changes nothing. Raises as `find`; Permanent (image_unknown) when the image is not there.
        """
        ...

    def config(self, image: ImageRef) -> dict[str, Any]:
        """How a container of the image is run (OCI image configuration, `config`): User, Entrypoint, Cmd, Labels.

        Raises as `copy`.
        """
        ...

    def tags(self, repository: str) -> tuple[str, ...]:
        """All tags of a repository, in order; none where there is no such repository. Raises as `find`."""
        ...

    def stored(self, image: ImageRef) -> StoredImage | None:
        """What the registry keeps of an image, as its manifest says; None when there is none. Raises as `find`."""
        ...

    def missing(self, image: ImageRef) -> tuple[str, ...]:
        """What of an image cannot be pulled any more: the digests of its manifest, configuration and layers that the
        registry does not have; empty where all is there. Raises as `find`."""
        ...

    def delete(self, image: ImageRef) -> bool:
        """Remove a manifest, and every tag that names it; whether it was there. Layers go with the last manifest that
        names them, when the registry collects them.

        Raises as `find`; Permanent (registry_delete_denied) where it deletes nothing, or has this image locked.
        """
        ...
