"""The door to BuildKit, which builds images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nightferry.entities.image_ref import ImageRef


@dataclass(frozen=True)
class BuildRequest:
    """One build."""

    dockerfile: Path
    target: str
    contexts: Mapping[str, Path]
    """Named build contexts: `app`, `tests`, `model`."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    push: tuple[str, ...] = ()
    """`repository:tag` names to push the result to; none: nothing leaves the builder."""


class ImageBuilder(Protocol):
    """Builds; the same inputs give the same digest."""

    def build(self, request: BuildRequest, log: Path) -> ImageRef | None:
        """Build and push; the image by digest, None when nothing was pushed. All output goes to `log`.

        Raises:
            Permanent: (image_build_failed: the sentence holds the step that failed and its last lines)
            Temporary: (builder_unavailable, registry_unavailable)
        """
        ...
