"""The door to the image registry (OCI distribution API)."""

from __future__ import annotations

from typing import Any, Protocol

from nightferry.entities.image_ref import ImageRef


class ImageRegistry(Protocol):
    """Finds and copies images."""

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
