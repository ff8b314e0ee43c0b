"""The images of the sandbox itself: the pause image, the base image and the deployer's, in its own registry.

Called when registry and BuildKit are up. Each image's tag is the hash of what decides its content: one that the
registry has is not built again. What buildkitd needs is written in `nightferry.sandbox.buildkit`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nightferry.sandbox import base_image, cache
from nightferry.sandbox.buildkit import Buildkit, Recipe
from nightferry.sandbox.progress import Progress

IN_DEPLOYER = ("clients", "entities", "manifests", "steps")
"""The packages of nightferry that its pods need; docker/deployer/Dockerfile.dockerignore leaves out the others."""


@dataclass(frozen=True)
class Images:
    """The sandbox's images, each `registry/repository@sha256:…`."""

    base: str
    deployer: str
    pause: str | None
    """None where the cluster is the user's own."""


def ensure(
    progress: Progress, root: Path, logs: Path, builder: Buildkit, *, pause: Path | None, base: str | None = None
) -> Images:
    """All of them, built and pushed where the registry does not have them yet.

    Args:
        pause: the compiled `pause` program, where the sandbox runs the cluster.
        base: the user's own base image (NIGHTFERRY_BASE_IMAGE).

    Raises:
        StepFailed: a build failed.
    """
    pause_image = pause_ensure(progress, root, logs, builder, pause) if pause else None
    chosen = base or base_image.ensure(progress, root, logs, builder)
    return Images(chosen, deployer_ensure(progress, root, logs, builder, chosen), pause_image)


def pause_ensure(progress: Progress, root: Path, logs: Path, builder: Buildkit, program: Path) -> str:
    """The image of the program that holds a pod's namespaces open."""
    recipe = Recipe(root / "docker" / "pause", program.parent)
    tag = _tag(program.parent, [program], (recipe.dockerfile / "Dockerfile").read_text(encoding="utf-8"))
    found = builder.find("nightferry/pause", tag)
    if found:
        return found
    log = logs / "build-pause-image.log"
    with progress.step("build the pause image", log=log, expected=2):
        return builder.build(recipe, "nightferry/pause", tag, log)


def deployer_ensure(progress: Progress, root: Path, logs: Path, builder: Buildkit, base: str) -> str:
    """The image of the pods that roll out and verify releases."""
    folder, plugins = root / "docker" / "deployer", root / "plugins"
    recipe = Recipe(folder, plugins, {"requirements": folder}, {"BASE_IMAGE": base})
    tag = _tag(root, [*folder.iterdir(), *_sources(plugins / "nightferry")], base)
    found = builder.find("nightferry/deployer", tag)
    if found:
        return found
    log = logs / "build-deployer-image.log"
    with progress.step("build the deployer's image", log=log, expected=25):
        return builder.build(recipe, "nightferry/deployer", tag, log)


def _sources(package: Path) -> Iterable[Path]:
    """The files of the package that the deployer's image holds."""
    folders = [package.glob("*"), *((package / name).rglob("*") for name in IN_DEPLOYER)]
    return [
        path
        for found in folders
        for path in found
        if path.is_file() and "__pycache__" not in path.relative_to(package).parts
    ]


def _tag(root: Path, files: Iterable[Path], *more: str) -> str:
    return f"inputs-{cache.fingerprint(root, files, *more)}"
