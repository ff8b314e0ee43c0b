"""What is bad never takes traffic: the run is red, the record complete, the service goes on answering."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nightferry.entities.reason import Reason

from tests.e2e.given_when_then import Given, Then, When
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("releases")]


@pytest.fixture
def _good_again(stage: Stage) -> Iterator[None]:
    """The next test finds a good commit on main."""
    good = stage.git("rev-parse", "HEAD")
    yield
    stage.git("reset", "-q", "--hard", good)


def test_a_model_under_the_gate_is_not_released(given: Given, when: When, then: Then) -> None:
    """The weak variant measures 0.82, the gate wants 0.95."""
    in_use = given.a_release_in_use()
    weak = given.a_model("weak")
    with when.called() as caller:
        released = when.released("--model", weak)

    then.failed_with(released, Reason.GATE_FAILED, "check_model")
    then.production_untouched(in_use, released)
    then.not_published(released)
    assert caller.failures == []
    assert caller.releases == [in_use]
    given.a_model("linear")  # the next test finds a good model


@pytest.mark.usefixtures("_good_again")
@pytest.mark.parametrize(
    ("file", "old", "new", "reason", "step"),
    [
        ("checks__test_labels_py", "TOP_K == 3", "TOP_K == 4", Reason.IMAGE_TESTS_FAILED, "test_source"),
        (
            "serving_app__runtime__lifecycle_py",
            "from __future__ import annotations\n",
            'from __future__ import annotations\n\nraise RuntimeError("broken by its developer")\n',
            Reason.IMAGE_START_FAILED,
            "test_image",
        ),
        (
            "serving_app__inputs__pictures_py",
            "(-1.0, 255.0) if spec.invert else (1.0, 0.0)",
            "(1.0, 0.0)",
            Reason.IMAGE_GOLDEN_WRONG,
            "test_image",
        ),
    ],
    ids=["its tests fail", "it does not start", "it answers wrongly"],
)
def test_a_broken_app_is_not_released(
    given: Given, when: When, then: Then, file: str, old: str, new: str, reason: Reason, step: str
) -> None:
    """A commit that fails its tests, that does not start, or that answers wrongly."""
    in_use = given.a_release_in_use()
    commit = given.a_commit("Break it", **{file: (old, new)})
    released = when.released("--commit", commit)

    then.failed_with(released, reason, step)
    then.production_untouched(in_use, released)
    then.not_published(released)
