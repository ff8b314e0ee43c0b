"""The DAG by which a person rolls back from Airflow's pages: which pods it asks for, and for whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nightferry.entities.state.traffic import Traffic

from tests.dags.bag import parsed
from tests.dags.world import World

OLD, NEW = "digits-2026-11-20.1", "digits-2026-11-21.1"


@pytest.fixture
def world(airflow_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path / "versions", monkeypatch)


def run(world: World, serves: dict[str, str], monkeypatch: pytest.MonkeyPatch, **asked: Any) -> tuple[str, list[Any]]:
    """Run the DAG where the record says that environments serve these releases; its state, and its pods' words."""
    state = type("State", (), {"traffic": {name: Traffic(release=release) for name, release in serves.items()}})
    monkeypatch.setattr("nightferry.operators.pods.roll_back.read_state", lambda store, service: state)
    monkeypatch.setattr(world, "_pod", lambda operator: world.pods.append([operator.serves, *operator.arguments]))
    dag = parsed().dags["roll_back"]
    ran = dag.test(run_conf={"service": "digits", "reason": "sevens are wrong", **asked})
    return str(ran.state.value), world.pods


def test_production_goes_back_and_staging_follows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    state, pods = run(world, {"production": OLD, "staging": NEW}, monkeypatch)
    assert state == "success"
    asked = ["--reason=sevens are wrong", "--actor", "dag_test"]
    assert pods == [
        ["production", "roll_back", "--service", "digits", "--environment", "production", *asked],
        ["staging", "roll_back", "--service", "digits", "--environment", "staging", *asked, "--to", OLD],
    ]


def test_staging_is_left_alone_where_it_serves_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    state, pods = run(world, {"production": OLD, "staging": OLD}, monkeypatch, to=OLD)
    assert state == "success"
    assert [(words[0], words[-2:]) for words in pods] == [("production", ["--to", OLD])]


def test_without_a_reason_nothing_happens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    state, pods = run(world, {"production": OLD}, monkeypatch, reason=" ")
    assert (state, pods) == ("failed", [])
