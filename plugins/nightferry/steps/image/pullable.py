"""Which of a service's needed images cannot be pulled any more."""

from __future__ import annotations

from dataclasses import dataclass

from nightferry.clients.doors.image_registry import ImageRegistry
from nightferry.entities.image_ref import ImageRef
from nightferry.steps.image.keep import Sight, needs_of
from nightferry.steps.image.look import Tell


@dataclass(frozen=True)
class Checked:
    """A needed image."""

    image: str
    why: tuple[str, ...]
    """Why it is needed."""
    missing: tuple[str, ...]
    """The digests of manifest and blobs that the registry does not have; empty: it can be pulled."""


def check_images(sight: Sight, registry: ImageRegistry, keep: int, tell: Tell = lambda _: None) -> list[Checked]:
    """Ask the registry for the manifest and every blob of each image that is needed.

    Raises:
        Permanent: (registry_denied)   Temporary: (registry_unavailable)
    """
    needed = needs_of(sight, keep).images
    checked = []
    for number, (image, why) in enumerate(sorted(needed.items()), start=1):
        tell(f"checked {number - 1} of {len(needed)} images")
        checked.append(Checked(image, tuple(why), registry.missing(ImageRef.parse(image))))
    return checked
