"""kill -9 anywhere: the world sees each step once."""

from __future__ import annotations

import pytest

from tests.e2e.given_when_then import Given, Then, When
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.sandbox, pytest.mark.alone]
SLOW = "    assert TOP_K == 3"
SLOWER = "    import time\n\n    time.sleep(6)\n    assert TOP_K == 3"


@pytest.mark.parametrize("step", ["test_source", "build_image", "production.roll_out"])
def test_the_scheduler_dies_in_the_middle_of_a_step(
    stage: Stage, given: Given, when: When, then: Then, step: str
) -> None:
    """The supervisor starts it again, and the release ends as if nothing had been."""
    given.a_release_in_use()
    model = given.a_model("linear")
    if step in ("test_source", "build_image"):
        given.a_commit("Let the unit tests take a while", checks__test_labels_py=(SLOW, SLOWER))
        given.a_commit("Touch the app", serving_app__model__labels_py=("TOP_K = 3", "TOP_K = 3  # as many as fingers"))
    run = when.started("--model", model)
    when.in_step(run, step)
    when.killed("airflow-scheduler")
    released = when.ended(run, seconds=480)

    assert (released.code, released.outcome) == (0, "released"), released
    then.done_once(released)
    then.in_use(released.name, model)
    then.digit_is_right()
    then.ledger_whole()
