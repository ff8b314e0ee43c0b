"""Build: the image of these inputs, found or made, waiting in the candidates' repository."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from nightferry.clients.clock import Clock
from nightferry.clients.doors.image_builder import ImageBuilder
from nightferry.clients.doors.image_registry import ImageRegistry
from nightferry.entities.candidate import Candidate
from nightferry.entities.decision import Decision
from nightferry.entities.frozen import Frozen
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.image.check_image import check_image
from nightferry.steps.image.request import Sources, build_request

log = logging.getLogger(__name__)


class BuiltImage(Frozen):
    """An image that was built, not yet tested."""

    image: str
    """`repository@sha256:…`"""
    reused: bool
    """It was there already: nothing was built."""
    seconds: float


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
    sources: Sources,
    clock: Clock,
) -> BuiltImage:
    """Find the image of the decision's inputs, or build and push it. Its unit tests run beside: see `test_source`.

    Args:
        decision: what was pinned.
        spec: the service file.
        model_folder: the fetched, verified model version.
        builder: BuildKit.
        registry: where candidates wait.
        sources: where the parts come from; the build's log goes to `logs/<release>-build.log` of the work folder.
        clock: for the time taken.

    Raises:
        Permanent: (image_build_failed, image_unknown: the base image, registry_denied, disk_full,
            source_path_missing, source_incomplete, source_repository_denied, lock_missing, app_contract_invalid: the
            app's own Dockerfile, or the user that its image runs as)
        Temporary: (builder_unavailable, registry_unavailable, source_repository_unavailable)
    """
    start = clock.monotonic()
    found = _find(decision.candidate, spec, registry)
    if found is not None:
        log.info("The image of these inputs is there already: %s", found)
        check_image(found, decision.candidate, registry)
        return BuiltImage(image=str(found), reused=True, seconds=round(clock.monotonic() - start, 3))
    record = sources.work / "logs" / f"{decision.release or decision.service}-build.log"
    with build_request(decision.candidate, sources, tests=False, model=model_folder) as request:
        log.info("Building the image; all output goes to %s", record)
        tagged = f"{spec.image.candidates}:{inputs_tag(decision.candidate)}"
        image = builder.build(replace(request, push=(tagged,)), record)
    if image is None:
        raise RuntimeError("the builder pushed an image and did not say which")
    check_image(image, decision.candidate, registry)
    seconds = round(clock.monotonic() - start, 3)
    log.info("Built %s in %.1f s", image, seconds)
    return BuiltImage(image=str(image), reused=False, seconds=seconds)


def _find(candidate: Candidate, spec: ServiceSpec, registry: ImageRegistry) -> ImageRef | None:
    """Candidates may be purged; then the release repository still has what was once released of the same inputs."""
    tag = inputs_tag(candidate)
    return registry.find(spec.image.candidates, tag) or registry.find(spec.image.repository, tag)
