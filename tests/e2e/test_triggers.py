"""Many ask for one service at once, each by another way: one run is active at any time, and all are on the record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from urllib.parse import quote

import pytest
import yaml
from nightferry.cli.releasing.patience import PatientAirflow
from nightferry.cli.releasing.request import note_joined, start
from nightferry.clients import connect
from nightferry.clients.airflow.api import AirflowApi
from nightferry.clients.clock import SystemClock
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.steps.model.publish_model import publish_model
from nightferry.steps.record.bar import hold

from tests.e2e.fleet import minute_ahead
from tests.e2e.given_when_then import eventually
from tests.e2e.stage import Stage

pytestmark = pytest.mark.sandbox
SERVICE = "e2e-triggers"


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A service with a model that is held, so that each run ends with its decision."""
    stage = Stage(tmp_path_factory.mktemp("triggers"), SERVICE)
    try:
        stage.begin()
        publish_model(stage.train("linear"), SERVICE, connect.models(stage.settings, stage.spec.model), SystemClock())
        hold(stage.ledger, SystemClock(), SERVICE, why="for the tests", actor="test")
        eventually(lambda: stage.airflow.paused(stage.dag) is False, 180, f"{stage.dag} is there")
        yield stage
    finally:
        stage.remove()


def by_command(stage: Stage) -> str:
    """What `nightferry release` does; its run."""
    airflow, clock = PatientAirflow(AirflowApi.connect(stage.settings), SystemClock()), SystemClock()
    store = connect.ledger_store(stage.settings)
    started = start(airflow, store, stage.spec, ReleaseRequest(), clock)
    assert note_joined(store, stage.spec, started, clock, None) == ""
    return started.run


def by_rest(stage: Stage, number: int) -> str:
    run = f"manual__{number}"
    assert AirflowApi.connect(stage.settings).trigger(stage.dag, run, {})
    return run


def said(stage: Stage) -> list[LedgerEntry]:
    return [one for one in stage.entries() if one.kind in (Kind.DECISION, Kind.TRIGGER)]


def ask_at_once(stage: Stage, commands: int, rest: int, seconds: float) -> list[str]:
    """The runs of all who asked, once they have ended; one of them was active at any time."""
    asks: list[Callable[[], str]] = [lambda: by_command(stage) for _ in range(commands)]
    asks += [lambda number=number: by_rest(stage, number) for number in range(rest)]  # type: ignore[misc]

    def over(runs: set[str]) -> bool:
        return all((run := stage.airflow.run(stage.dag, name)) and run.ended for name in runs)

    with ThreadPoolExecutor(max_workers=commands + rest) as pool:
        runs = [future.result() for future in [pool.submit(ask) for ask in asks]]
    deadline = time.monotonic() + seconds
    while not over(set(runs)):
        assert time.monotonic() < deadline, "they have not all ended"
        time.sleep(1)
    times = sorted(times_of(stage, run) for run in set(runs))
    assert all(ended <= begun for (_, ended), (begun, _) in pairwise(times)), times
    return runs


def times_of(stage: Stage, run: str) -> tuple[str, str]:
    """When Airflow began and ended a run (UTC, RFC 3339)."""
    path = f"/api/v2/dags/{stage.dag}/dagRuns/{quote(run, safe='')}"
    found = stage.airflow.call("GET", path).json()
    return found["start_date"], found["end_date"]


def check(stage: Stage, runs: list[str], commands: int, rest: int) -> None:
    """One run for all who asked the same by the command (two, where the first had ended meanwhile), and one for each
    of the others; an entry for each who asked."""
    entries = [one for one in said(stage) if not one.key.startswith("slot:")]
    assert len(entries) == commands + rest
    reasons = Counter(one.reason for one in entries)
    assert reasons == {Reason.HELD: len(set(runs)), Reason.JOINED: len(runs) - len(set(runs))}
    assert {one.key for one in entries if one.kind == Kind.DECISION} == {f"run:{run}" for run in runs}
    assert all(one.actor for one in entries)
    ways = Counter((one.data["trigger"], one.data["way"]) for one in entries)
    assert ways == {("person", "command"): commands, ("person", "airflow"): rest}


def test_six_at_once(stage: Stage) -> None:
    check(stage, ask_at_once(stage, 4, 2, 240), 4, 2)


@pytest.mark.drill
@pytest.mark.timeout(2400)
def test_fifty_at_once_and_the_schedule(stage: Stage) -> None:
    cron, begins = minute_ahead(90)
    content = yaml.safe_load(stage.service_file.read_text(encoding="utf-8"))
    content["schedule"] = {"cron": cron, "timezone": "UTC"}
    partial = stage.service_file.with_suffix(".partial")
    partial.write_text(yaml.safe_dump(content), encoding="utf-8")
    partial.rename(stage.service_file)
    time.sleep(max(0.0, begins - time.time()))
    check(stage, ask_at_once(stage, 25, 24, 1800), 25, 24)
    eventually(lambda: [one for one in said(stage) if one.key.startswith("slot:")], 300, "the schedule's is decided")
    (slot,) = [one for one in said(stage) if one.key.startswith("slot:")]
    assert (slot.data["trigger"], slot.data["way"], slot.actor) == ("schedule", "timetable", "schedule")
