"""The images of the sandbox itself, beside the base: the pause image and the deployer's, in the registry.

Called when registry and BuildKit are up. Each image's tag is the hash of the files it is built from: one that the
registry has is not built again. What buildkitd needs is written in `nightferry.sandbox.build.buildkit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nightferry.sandbox.build import cache
from nightferry.sandbox.build.buildkit import Buildkit, staged
from nightferry.sandbox.progress import Progress

IN_DEPLOYER = ("clients", "deployer", "entities", "manifests", "steps")
"""The packages of nightferry that its pods need; Airflow's, the sandbox's and the command line's are left out."""


def pause_ensure(progress: Progress, root: Path, logs: Path, builder: Buildkit, program: Path) -> str:
    """The image of the program that holds a pod's namespaces open, by digest. Raises as ImageBuilder."""
    files = {"Dockerfile": root / "docker" / "pause" / "Dockerfile", "pause": program}
    return _ensure(progress, logs, builder, "pause", files, {}, 2)


def deployer_ensure(progress: Progress, root: Path, logs: Path, builder: Buildkit, base: str) -> str:
    """The image of the pods that roll out and verify releases, by digest. Raises as ImageBuilder."""
    folder, plugins = root / "docker" / "deployer", root / "plugins"
    files = {name: folder / name for name in ("Dockerfile", "requirements.txt")}
    package = plugins / "nightferry"
    for found in (package.glob("*"), *((package / name).rglob("*") for name in IN_DEPLOYER)):
        kept = (path for path in found if path.is_file() and "__pycache__" not in path.relative_to(package).parts)
        files |= {path.relative_to(plugins).as_posix(): path for path in kept}
    reader = root / "serving_app"  # of the service, the reader of model.json alone
    for path in (reader / "__init__.py", *(reader / "model_format").glob("*.py")):
        files[path.relative_to(root).as_posix()] = path
    return _ensure(progress, logs, builder, "deployer", files, {"BASE_IMAGE": base}, 25)


def _ensure(
    progress: Progress,
    logs: Path,
    builder: Buildkit,
    name: str,
    files: Mapping[str, Path],
    arguments: Mapping[str, str],
    expected: float,
) -> str:
    repository, log = f"nightferry/{name}", logs / f"build-{name}-image.log"
    with staged(files) as context:
        inputs = [path for path in context.rglob("*") if path.is_file()]
        tag = f"inputs-{cache.fingerprint(context, inputs, *arguments.values())}"
        found = builder.find(repository, tag)
        if found:
            return found
        with progress.step(f"build the {name} image", log=log, expected=expected):
            return builder.build(context, repository, tag, log, arguments)
