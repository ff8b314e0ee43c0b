"""Test the source: the app's unit tests, in the image's test stage."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from nightferry.clients.doors.image_builder import ImageBuilder
from nightferry.clients.doors.image_registry import ImageRegistry
from nightferry.entities.app.contract import AppContract
from nightferry.entities.decision import Decision
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.image.build_image import inputs_tag
from nightferry.steps.image.request import Sources, build_request

log = logging.getLogger(__name__)


Tested = Literal["ran", "released", "none"]
"""They ran and passed; an image of the same inputs was released, so they passed then; there are none."""


def test_source(
    *,
    decision: Decision,
    spec: ServiceSpec,
    builder: ImageBuilder,
    registry: ImageRegistry,
    sources: Sources,
    model: Callable[[], Path],
) -> Tested:
    """Run the unit tests of the decision's source. BuildKit knows those that passed on the same files before.

    Args:
        decision: what was pinned.
        spec: the service file.
        builder: BuildKit.
        registry: where released images are.
        sources: where the parts come from; the tests' output goes to `logs/<release>-tests.log` of the work folder.
        model: gives the fetched model's folder; asked where the app's tests need one.

    Raises:
        Permanent: (image_tests_failed, image_build_failed, image_unknown: the base image, registry_denied, disk_full,
            source_path_missing, source_incomplete, source_repository_denied, lock_missing; model_… where the tests need
            the model)
        Temporary: (builder_unavailable, registry_unavailable, source_repository_unavailable)
    """
    candidate = decision.candidate
    if candidate.source.tests is None:
        return "none"
    if registry.find(spec.image.repository, inputs_tag(candidate)):
        return "released"
    record = sources.work / "logs" / f"{decision.release or decision.service}-tests.log"
    needed = model() if needs_model(candidate.app) else None
    with build_request(candidate, sources, tests=True, model=needed) as request:
        log.info("Running the app's unit tests; all output goes to %s", record)
        builder.build(request, record)
    return "ran"


def needs_model(app: AppContract | None) -> bool:
    """Whether the test stage is built with the model: an app's own Dockerfile may copy from it before that stage."""
    return app is not None and (app.tests_need_model or app.dockerfile is not None)


test_source.__test__ = False  # type: ignore[attr-defined]  # a step's name; pytest must not collect it
