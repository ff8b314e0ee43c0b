"""Publish: the tested image, same digest, under the release's name."""

from __future__ import annotations

import logging

from nightferry.clients.doors.image_registry import ImageRegistry
from nightferry.entities.decision import Decision
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.image.build_image import inputs_tag
from nightferry.steps.image.test_image import TestedImage

log = logging.getLogger(__name__)


def publish_image(*, decision: Decision, spec: ServiceSpec, tested: TestedImage, registry: ImageRegistry) -> ImageRef:
    """Copy the tested image by digest into the release repository, tagged with the release's id and its inputs.

    Only a `TestedImage`, which nothing but a passed test makes, gets here. Done again it changes nothing.

    Raises:
        Permanent: (registry_denied; image_unknown: the candidate is gone)
        Temporary: (registry_unavailable)
    """
    if decision.release is None:
        raise ValueError("a decision without a release publishes nothing")
    tags = (decision.release, inputs_tag(decision.candidate))
    published = registry.copy(ImageRef.parse(tested.image), spec.image.repository, tags)
    log.info("Published %s as %s", published, " and ".join(tags))
    return published
