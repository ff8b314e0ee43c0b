"""Whatever happens between the switch and the last word, traffic, record and history say the same."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from nightferry.entities.fact_key import step_of
from nightferry.entities.reason import Reason
from nightferry.steps.record.history import history

from tests.e2e.rollout_scene import SERVICE, RolloutScene

pytestmark = pytest.mark.sandbox


@pytest.fixture
def before(scene: RolloutScene) -> str:
    """A release in use, alone."""
    scene.clear()
    return scene.released(name="production")


def eventually(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)


def agree(scene: RolloutScene, release: str | None) -> None:
    """The Service, the record and the history name the same release."""
    assert scene.in_use() == (release or "none")
    assert scene.traffic("production").release == release
    serving = [line.release for line in history(scene.ledger, SERVICE) if "production" in line.serves]
    assert serving == ([release] if release else [])


def test_a_storage_that_refuses_while_a_later_release_is_looked_at(scene: RolloutScene, before: str) -> None:
    plan = scene.plan(name="production")
    deployer = scene.start("roll_out", plan)
    deployer.until_it_says("now goes to")
    deployer.end(signal.SIGKILL)
    with scene.models_refused() as refused:
        assert scene.run("verify", plan, **refused).wait() in (2, 3)
    assert scene.in_use() == plan.release, "could not look is no verdict"
    assert scene.run("verify", plan).wait() == 0
    agree(scene, plan.release)


def test_a_storage_that_refuses_while_the_first_release_is_looked_at(scene: RolloutScene) -> None:
    scene.clear()
    plan = scene.plan(name="production")
    assert scene.run("roll_out", plan).wait() == 0
    address = scene.address()
    with scene.models_refused() as refused:
        assert scene.run("verify", plan, **refused).wait() in (2, 3)
    assert (scene.in_use(), scene.deployments(), scene.address()) == (plan.release, {plan.release: 1}, address)


def test_a_deployer_that_is_killed_after_the_switch_is_finished_by_the_retiring_run(
    scene: RolloutScene, before: str
) -> None:
    plan = scene.plan(name="production")
    deployer = scene.start("roll_out", plan)
    deployer.until_it_says("now goes to")
    deployer.end(signal.SIGKILL)
    assert scene.run("finish", plan, "--at-once").wait() == 0
    agree(scene, plan.release)
    assert scene.traffic("production").verified


def test_a_verification_that_is_cleared_goes_back_and_the_ending_says_so(scene: RolloutScene, before: str) -> None:
    plan = scene.plan(name="production")
    assert scene.run("roll_out", plan).wait() == 0
    scene.close(plan.release)
    assert scene.entries()[-1].reason == Reason.RELEASED
    scene.answer_otherwise(plan.release)
    assert scene.run("verify", plan).wait() == 2
    agree(scene, before)
    endings = [entry for entry in scene.entries() if step_of(entry.key) == "release"]
    assert [entry.reason for entry in endings[-2:]] == [Reason.RELEASED, Reason.VERIFY_WRONG_RELEASE]
    assert scene.would_decide(plan).in_use == before


def test_a_first_release_that_is_wrong_is_out_of_the_traffic_and_nothing_is_deleted(scene: RolloutScene) -> None:
    scene.clear()
    plan = scene.plan(name="production")
    deployer = scene.start("roll_out", plan)
    deployer.until_it_says("now goes to")
    deployer.end(signal.SIGKILL)
    address = scene.address()
    scene.answer_otherwise(plan.release)
    assert scene.run("verify", plan).wait() == 2
    agree(scene, None)
    assert (scene.deployments(), scene.address()) == ({plan.release: 1}, address)
    assert scene.would_decide(plan).reason == Reason.FIRST_RELEASE
