"""Build: the image of these inputs, found or made, waiting in the candidates' repository."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry.clients.clock import Clock
from nightferry.clients.image_builder import BuildRequest, ImageBuilder
from nightferry.clients.image_registry import ImageRegistry
from nightferry.clients.scratch import scratch
from nightferry.clients.source_repository import SourceRepository
from nightferry.entities.candidate import Candidate
from nightferry.entities.decision import Decision
from nightferry.entities.frozen import Frozen
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent

log = logging.getLogger(__name__)

RECIPE = ("docker/serving/Dockerfile", "docker/serving/bare.py", "docker/serving/requirements-test.txt")
"""What decides how an image is made, besides its inputs."""


class BuiltImage(Frozen):
    """An image that was built, not yet tested."""

    image: str
    """`repository@sha256:…`"""
    reused: bool
    """It was there already: nothing was built."""
    seconds: float


def recipe_digest(root: Path) -> str:
    """sha256 (hex) over the recipe's files in the project at `root`.

    Raises:
        Permanent: (setting_missing) the project's folder lacks one.
    """
    digest = hashlib.sha256()
    for name in RECIPE:
        try:
            content = (root / name).read_bytes()
        except OSError as error:
            raise Permanent(
                Reason.SETTING_MISSING,
                f"{root / name} cannot be read: NIGHTFERRY_ROOT has to name the project's folder.",
            ) from error
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def inputs_tag(candidate: Candidate) -> str:
    """The tag that names the image of these inputs: `inputs-<64 hex>`."""
    return f"inputs-{candidate.inputs_digest}"


def build_image(
    *,
    decision: Decision,
    spec: ServiceSpec,
    model_folder: Path,
    builder: ImageBuilder,
    registry: ImageRegistry,
    source: SourceRepository,
    work: Path,
    dockerfile: Path,
    clock: Clock,
) -> BuiltImage:
    """Find the image of the decision's inputs, or build and push it. Its unit tests run beside: see `test_source`.

    Args:
        decision: what was pinned.
        spec: the service file.
        model_folder: the fetched, verified model version.
        builder: BuildKit.
        registry: where candidates wait.
        source: the repository that the commit is in.
        work: the releases' work folder; the build's log goes to `logs/<release>-build.log` in it.
        dockerfile: docker/serving/Dockerfile; its folder is the main build context.
        clock: for the time taken.

    Raises:
        Permanent: (image_build_failed, image_unknown: the base image, registry_denied, disk_full,
            source_path_missing, source_incomplete, source_repository_denied)
        Temporary: (builder_unavailable, registry_unavailable, source_repository_unavailable)
    """
    start = clock.monotonic()
    found = _find(decision.candidate, spec, registry)
    if found is not None:
        log.info("The image of these inputs is there already: %s", found)
        return BuiltImage(image=str(found), reused=True, seconds=round(clock.monotonic() - start, 3))
    record = work / "logs" / f"{decision.release or decision.service}-build.log"
    with exported(decision.candidate, source, work) as contexts:
        request = BuildRequest(
            dockerfile,
            "serving",
            {**contexts, "model": model_folder},
            platform(decision, spec) | _labels(decision.candidate),
            push=(f"{spec.image.candidates}:{inputs_tag(decision.candidate)}",),
        )
        log.info("Building the image; all output goes to %s", record)
        image = builder.build(request, record)
    if image is None:
        raise RuntimeError("the builder pushed an image and did not say which")
    seconds = round(clock.monotonic() - start, 3)
    log.info("Built %s in %.1f s", image, seconds)
    return BuiltImage(image=str(image), reused=False, seconds=seconds)


def _find(candidate: Candidate, spec: ServiceSpec, registry: ImageRegistry) -> ImageRef | None:
    """Candidates may be purged; then the release repository still has what was once released of the same inputs."""
    tag = inputs_tag(candidate)
    return registry.find(spec.image.candidates, tag) or registry.find(spec.image.repository, tag)


def platform(decision: Decision, spec: ServiceSpec) -> dict[str, str]:
    """What the image stands on, as arguments of the Dockerfile."""
    return {"BASE_IMAGE": decision.candidate.base_image, "RUNTIME": "bare" if spec.source.is_stock else "base"}


@contextmanager
def exported(candidate: Candidate, source: SourceRepository, work: Path) -> Iterator[dict[str, Path]]:
    """The build contexts `app` and `tests`: the folders at the commit, removed afterwards."""
    with scratch(f"{candidate.service}-", work / "builds") as folder:
        pinned, contexts = candidate.source, {"app": folder / "app", "tests": folder / "tests"}
        source.export(pinned.commit, pinned.path, contexts["app"])
        if pinned.tests is None:
            contexts["tests"].mkdir()
        else:
            source.export(pinned.commit, pinned.tests, contexts["tests"])
        yield contexts


def _labels(candidate: Candidate) -> dict[str, str]:
    """What the Dockerfile turns into OCI labels. Labels are part of the digest, so only what decides the content is
    named: the app's tree in git, not one of the commits that have it. The commit is in the ledger and the passport."""
    return {
        "SERVICE": candidate.service,
        "MODEL": candidate.model.version,
        "MODEL_SHA256": candidate.model.sha256,
        "SOURCE": candidate.source.tree,
        "INPUTS": candidate.inputs_digest,
    }
