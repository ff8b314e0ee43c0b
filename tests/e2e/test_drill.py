"""The drill on a real cluster: faults are injected, seen and over, and callers notice what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.drill.catalogue import chosen
from nightferry.drill.drill import NOT_TRIED, PASSED, Row

from tests.e2e.drill_scene import drill_of, trial_namespace
from tests.e2e.rollout_scene import RolloutScene

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("trial")]  # one at a time is in that namespace
QUICKEST = ("crashes", "wrong once it is used", "pod deleted", "deployer killed")


@pytest.fixture(scope="module")
def drilled(scene: RolloutScene) -> RolloutScene:
    scene.released(name="production")
    return scene


def passed(rows: list[Row]) -> None:
    assert [(row.fault, row.why) for row in rows if row.result != PASSED] == []
    assert all(row.asked and row.production_asked for row in rows)


def test_quick_faults_are_seen_and_callers_notice_nothing(drilled: RolloutScene, tmp_path: Path) -> None:
    drill, trial = drill_of(drilled, trial_namespace(drilled, "quick"), tmp_path)
    before = drilled.in_use(), drilled.deployments(), len(drilled.entries())
    rows = drill.run(chosen(QUICKEST, quick=True))
    passed(rows)
    assert len(rows) == len(QUICKEST)
    assert trial.in_use() == trial.good == trial.candidate  # the deployer that was killed was the last
    assert (drilled.in_use(), drilled.deployments(), len(drilled.entries())) == before
    assert trial.known()[1]  # the next fault would find it well


@pytest.mark.drill
def test_every_fault_that_stops_no_part_passes_three_times_where_it_is_quick(
    drilled: RolloutScene, tmp_path: Path
) -> None:
    drill, _ = drill_of(drilled, trial_namespace(drilled, "all"), tmp_path)
    rows = drill.run(chosen((), quick=False))
    passed([row for row in rows if row.result != NOT_TRIED])
    passed(drill.run(chosen((), quick=True), times=3))
