"""Thirty services at once: asked for by thirty clients, and due in the same minute. Run by `make drill`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from nightferry.clients.airflow.api import DEPLOYER_POOL

from tests.e2e.fleet import COUNT, ONCE, Fleet, minute_ahead, most_deployers
from tests.e2e.given_when_then import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.drill, pytest.mark.timeout(2400)]
PATIENCE = 1500
"""Seconds until all have ended, on a slow machine."""
SCHEDULE_SECONDS = 120
"""Within this, Airflow has read thirty changed service files."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        fleet.begin()
        yield fleet
    finally:
        fleet.remove()


def test_thirty_clients_at_once(fleet: Fleet) -> None:
    before = fleet.lengths()
    began = time.monotonic()
    with most_deployers(fleet.first.layout) as deployers:
        clients = [
            subprocess.Popen(
                [sys.executable, "-m", "nightferry", "release", stage.service, "--wait", "--json"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for stage in fleet.stages
        ]
        said = [client.communicate(timeout=PATIENCE) for client in clients]
    print(f"\n{COUNT} clients at once: all ended after {time.monotonic() - began:.0f} s, {deployers[0]} deployers")

    failed = [errors[-500:] for client, (_, errors) in zip(clients, said, strict=True) if client.returncode != 0]
    assert failed == []
    assert {json.loads(shown)["release"]["outcome"] for shown, _ in said} == {"released"}
    assert set(fleet.outcomes(before).values()) == {ONCE}
    slots = fleet.first.airflow.pool(DEPLOYER_POOL)
    assert slots is not None
    assert deployers[0] <= slots


def test_thirty_due_in_the_same_minute(fleet: Fleet) -> None:
    fleet.publish("forest")
    before = fleet.lengths()
    cron, begins = minute_ahead(SCHEDULE_SECONDS)
    fleet.write(cron)
    with most_deployers(fleet.first.layout) as deployers:
        eventually(
            lambda: time.time() > begins and all(fleet.outcomes(before)[s.service].released for s in fleet.stages),
            begins - time.time() + PATIENCE,
            "all thirty are released",
        )
        seconds = time.time() - begins
    print(f"\n{COUNT} due in the same minute: all ended after {seconds:.0f} s, {deployers[0]} deployers")

    assert set(fleet.outcomes(before).values()) == {ONCE}
    slots = fleet.first.airflow.pool(DEPLOYER_POOL)
    assert slots is not None
    assert deployers[0] <= slots
