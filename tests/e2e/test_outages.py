"""Outside systems that are down: the right reason, a service that goes on answering, and recovery afterwards."""

from __future__ import annotations

import json

import pytest
from nightferry.entities.reason import Reason

from tests.e2e.given_when_then import Given, Then, When
from tests.e2e.stage import SERVICE, Stage

pytestmark = pytest.mark.sandbox


@pytest.mark.parametrize(
    ("part", "reason"),
    [("buildkitd", Reason.BUILDER_UNAVAILABLE), ("registry", Reason.REGISTRY_UNAVAILABLE)],
)
def test_a_release_meets_a_part_that_is_down(
    stage: Stage, given: Given, when: When, then: Then, part: str, reason: Reason
) -> None:
    """Down for longer than the retries: failed, with the reason. Up again: the same request succeeds."""
    in_use = given.a_release_in_use()
    model = given.a_model("linear")
    with stage.without(part), when.called() as caller:
        failed = when.released("--model", model)

    then.failed_with(failed, reason, "build_image")
    then.in_use(in_use)
    assert caller.failures == []
    released = when.released("--model", model)
    assert (released.code, released.outcome) == (0, "released"), released
    then.in_use(released.name, model)


def test_a_part_that_is_down_for_a_moment_costs_a_retry(stage: Stage, given: Given, when: When, then: Then) -> None:
    """The registry is away when it is needed, and back before the retries are used up."""
    given.a_release_in_use()
    model = given.a_model("linear")
    with stage.without("registry"):
        run = when.started("--model", model)
        when.in_step(run, "build_image", "up_for_retry")
    released = when.ended(run)

    assert (released.code, released.outcome) == (0, "released"), released
    then.done_once(released)
    then.in_use(released.name, model)


def test_without_the_storage_nothing_is_asked_for_and_the_service_answers(
    stage: Stage, given: Given, then: Then
) -> None:
    """The command says what is missing; the service needs no storage. Afterwards all is as before."""
    in_use = given.a_release_in_use()
    with stage.without("azurite"):
        done = stage.nightferry("release", SERVICE, "--json")
        then.in_use(in_use)
        then.digit_is_right()

    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["reason"] == Reason.STORAGE_UNAVAILABLE
    then.ledger_whole()
