"""The steps of a release, in order: the DAG is made of them, and the record expects them."""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.entities.fact_key import of_environment

TEST_SOURCE, FETCH_MODEL, CHECK_MODEL = "test_source", "fetch_model", "check_model"
BUILD_IMAGE, TEST_IMAGE, PUBLISH_IMAGE = "build_image", "test_image", "publish_image"
IMAGE_STEPS = (TEST_SOURCE, FETCH_MODEL, CHECK_MODEL, BUILD_IMAGE, TEST_IMAGE, PUBLISH_IMAGE)
"""What comes before the environments. The first goes on beside the next four."""
ROLL_OUT, VERIFY = "roll_out", "verify"


def expected_steps(environments: Sequence[str], *, image: bool = True) -> tuple[str, ...]:
    """All steps of a release through these environments, in order.

    Args:
        environments: their names.
        image: whether an image is made; where only settings changed, none is.
    """
    made = IMAGE_STEPS if image else ()
    return (*made, *(of_environment(name, step) for name in environments for step in (ROLL_OUT, VERIFY)))
