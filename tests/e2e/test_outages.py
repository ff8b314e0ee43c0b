"""Outside systems that are down: the right reason, a service that goes on answering, and recovery afterwards."""

from __future__ import annotations

import json
import uuid

import pytest
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason

from tests.e2e.given_when_then import Given, Then, When
from tests.e2e.stage import DAG, SERVICE, Stage

pytestmark = [pytest.mark.sandbox, pytest.mark.alone]


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
    """The Docker engine is away when it is needed, and back before the retries are used up."""
    if "dockerd" not in stage.supervisor.processes():
        pytest.skip("the machine's own Docker engine is in use; the tests do not stop it")
    given.a_release_in_use()
    model = given.a_model("linear")
    with stage.without("dockerd"):
        run = when.started("--model", model)
        when.in_step(run, "test_image", "up_for_retry")
    released = when.ended(run)

    assert (released.code, released.outcome) == (0, "released"), released
    then.done_once(released)
    then.in_use(released.name, model)


def test_a_night_without_the_storage_is_on_the_record_once_that_is_back(
    stage: Stage, given: Given, when: When, then: Then
) -> None:
    """Nothing can be decided or written; the run's last task waits for the storage and writes why."""
    in_use = given.a_release_in_use()
    run = f"night-{uuid.uuid4().hex[:8]}"
    before = len(stage.entries())
    with stage.without("azurite"):
        stage.airflow.trigger(DAG, run, {})
        when.in_step(run, "decide", "failed", seconds=300)
    ended = when.ended(run)

    assert (ended.code, ended.reason, ended.release) == (1, "storage_unavailable", None)
    # Whoever waits for a run has asked for it too, and that is on the record.
    told = [(entry.reason, entry.sentence) for entry in stage.entries()[before:] if entry.kind != Kind.TRIGGER]
    assert [reason for reason, _ in told] == [Reason.STORAGE_UNAVAILABLE], told
    then.in_use(in_use)
    then.ledger_whole()


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
