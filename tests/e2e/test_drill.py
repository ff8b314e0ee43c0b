"""The drill on a real cluster: quick faults are injected, seen and over, and callers notice what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.drill.catalogue import chosen

from tests.e2e.drill_scene import DrillScene
from tests.e2e.rollout_scene import RolloutScene

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def drilled(scene: RolloutScene) -> DrillScene:
    scene.released(name="production")
    made = DrillScene(scene)
    made.begin()
    return made


def test_the_quick_faults_pass(drilled: DrillScene, tmp_path: Path) -> None:
    with drilled.drill(tmp_path) as (drill, _):
        rows = drill.run(chosen((), quick=True))
    for row in rows:
        print(row)
    assert {row.fault: (row.result, row.why) for row in rows} == {row.fault: ("passed", "") for row in rows}
    assert all(row.asked and row.production_asked for row in rows)
