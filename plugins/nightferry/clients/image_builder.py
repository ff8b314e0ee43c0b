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
    tests: bool = False
    """The target's last step runs tests: when that step fails, the reason is image_tests_failed."""


class ImageBuilder(Protocol):
    """Builds; the same inputs give the same digest."""

    def build(self, request: BuildRequest, log: Path) -> ImageRef | None:
        """Build and push; the image by digest, None when nothing was pushed. All output goes to `log`.

        Raises:
            Permanent: (image_build_failed, image_tests_failed: the sentence holds the step that failed and its last
                lines; image_unknown: the base image; registry_denied, disk_full)
            Temporary: (builder_unavailable, registry_unavailable; image_build_failed when a package index did not
                answer)
        """
        ...
