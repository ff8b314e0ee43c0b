"""Test the source: the app's unit tests, in the image's test stage. They need no model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from nightferry.clients.image_builder import BuildRequest, ImageBuilder
from nightferry.clients.image_registry import ImageRegistry
from nightferry.clients.source_repository import SourceRepository
from nightferry.entities.decision import Decision
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.image.build_image import exported, inputs_tag, platform

log = logging.getLogger(__name__)


Tested = Literal["ran", "released", "none"]
"""They ran and passed; an image of the same inputs was released, so they passed then; there are none."""


def test_source(
    *,
    decision: Decision,
    spec: ServiceSpec,
    builder: ImageBuilder,
    registry: ImageRegistry,
    source: SourceRepository,
    work: Path,
    dockerfile: Path,
) -> Tested:
    """Run the unit tests of the decision's source. BuildKit knows those that passed on the same files before.

    Args:
        decision: what was pinned.
        spec: the service file.
        builder: BuildKit.
        registry: where released images are.
        source: the repository that the commit is in.
        work: the releases' work folder; the tests' output goes to `logs/<release>-tests.log` in it.
        dockerfile: docker/serving/Dockerfile; its folder is the main build context.

    Raises:
        Permanent: (image_tests_failed, image_build_failed, image_unknown: the base image, registry_denied, disk_full,
            source_path_missing, source_incomplete, source_repository_denied)
        Temporary: (builder_unavailable, registry_unavailable, source_repository_unavailable)
    """
    candidate = decision.candidate
    if candidate.source.tests is None:
        return "none"
    if registry.find(spec.image.repository, inputs_tag(candidate)):
        return "released"
    record = work / "logs" / f"{decision.release or decision.service}-tests.log"
    with exported(candidate, source, work) as contexts:
        log.info("Running the app's unit tests; all output goes to %s", record)
        builder.build(BuildRequest(dockerfile, "test", contexts, platform(decision, spec), tests=True), record)
    return "ran"


test_source.__test__ = False  # type: ignore[attr-defined]  # a step's name; pytest must not collect it
