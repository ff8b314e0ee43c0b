"""Whole releases on the sandbox, of a service of the tests' own.

Modules whose releases Airflow runs are one group, `releases`: two of them at once would only take each other's time.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.given_when_then import Given, Then, When
from tests.e2e.rollout_scene import RolloutScene
from tests.e2e.stage import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The tests' service; removed at the end, and at the begin where a killed session left it."""
    stage = Stage(tmp_path_factory.mktemp("e2e"))
    stage.begin()
    yield stage
    stage.remove()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutScene]:
    """A scratch namespace with its images, for the tests of one module."""
    scene = RolloutScene(tmp_path_factory.mktemp("rollout"))
    try:
        scene.begin()
        yield scene
    finally:
        scene.remove()


@pytest.fixture
def given(stage: Stage) -> Given:
    return Given(stage)


@pytest.fixture
def when(stage: Stage) -> When:
    return When(stage)


@pytest.fixture
def then(stage: Stage) -> Then:
    return Then(stage)
