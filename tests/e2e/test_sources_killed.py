"""The same release with its model in Blob storage, in S3 and in MLflow, each killed -9 in the middle.

S3 and MLflow are killed while the model is fetched. Azurite keeps its index in memory for some seconds, and what it had
acknowledged is gone when it is killed, the record's newest entries too, which no storage account does: it is killed
later in the release, when nothing was written for that long.
"""

from __future__ import annotations

import datetime as dt

import pytest
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.steps.model.publish_model import publish_model

from tests.e2e.given_when_then import Given, Then, When, eventually
from tests.e2e.own_names import own_name
from tests.e2e.stage import SERVICE, Stage

pytestmark = [pytest.mark.sandbox, pytest.mark.alone, pytest.mark.timeout(900)]
PLACES = {"azurite": "azure-blob://models/{service}", "s3": "s3://models/{own}", "mlflow": "mlflow://{own}"}
"""The sandbox's part -> where the models are. The record is in the first one too."""
FLUSHED = 6.0
"""Seconds after which Azurite has what it acknowledged on disk: it writes its index every five."""


def quiet_for(stage: Stage) -> float:
    """Seconds since the record's newest entry."""
    newest = dt.datetime.fromisoformat(stage.entries()[-1].time)
    return (dt.datetime.now(dt.UTC) - newest).total_seconds()


@pytest.mark.parametrize("part", PLACES)
def test_a_release_whose_storage_is_killed_while_its_model_is_fetched(
    part: str, stage: Stage, given: Given, when: When, then: Then
) -> None:
    """Given a release in use; when the storage dies in the middle; then the release goes on and is done once."""
    if part not in stage.supervisor.processes():
        pytest.skip(f"the sandbox has no {part}: nightferry up --with {part}")
    given.a_release_in_use()
    before = stage.service_file.read_text(encoding="utf-8")
    address = PLACES[part].format(service=SERVICE, own=own_name("models"))
    stage.service_file.write_text(before.replace(f"azure-blob://models/{SERVICE}", address), encoding="utf-8")
    try:
        folder = stage.train("linear")
        publish_model(folder, SERVICE, connect.models(stage.settings, stage.spec.model), SystemClock())
        run = when.started("--model", folder.name)
        when.in_step(run, "fetch_model")
        if part == "azurite":
            eventually(lambda: quiet_for(stage) > FLUSHED, 180, "Azurite has written down what it acknowledged")
            ended = stage.airflow.run(stage.dag, run)
            assert ended is not None
            assert not ended.ended
        when.killed(part)
        released = when.ended(run, seconds=600)
        assert (released.code, released.outcome) == (0, "released"), released
        then.done_once(released)
        then.in_use(released.name, folder.name)
        then.digit_is_right()
        then.ledger_whole()
    finally:
        stage.service_file.write_text(before, encoding="utf-8")
