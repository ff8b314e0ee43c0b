"""The door to BuildKit, which builds images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nightferry.entities.image_ref import ImageRef

LOCK_TARGET = "lock"
"""The target of docker/app/Dockerfile that resolves an app's requirements."""


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
    context: Path | None = None
    """The main build context; None: the Dockerfile's folder."""
    out: Path | None = None
    """A folder that the target's file system is written into; with it, nothing is pushed."""
    no_cache: bool = False
    """Every step is run, whatever the builder knows of earlier builds."""


class ImageBuilder(Protocol):
    """Builds; the same inputs give the same digest."""

    def build(self, request: BuildRequest, log: Path) -> ImageRef | None:
        """Build and push; the image by digest, None when nothing was pushed. All output goes to `log`.

        Raises:
            Permanent: (image_build_failed, image_tests_failed: the sentence holds the step that failed and its last
                lines; app_requirements_wrong: of the target LOCK_TARGET, what its recipe found; image_unknown: the base
                image; registry_denied, disk_full)
            Temporary: (builder_unavailable, registry_unavailable; image_build_failed when a package index or archive
                did not answer)
        """
        ...
