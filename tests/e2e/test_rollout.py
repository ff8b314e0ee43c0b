"""Rollouts on a real cluster: what users notice, what a kill leaves, what a bad release does."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.reason import Reason
from nightferry.manifests import names

from tests.e2e.open_connections import Callers
from tests.e2e.polling import best_label
from tests.e2e.rollout_scene import RolloutScene

pytestmark = pytest.mark.sandbox


@pytest.fixture
def nothing(scene: RolloutScene) -> None:
    """No release is there."""
    scene.clear()
    eventually(lambda: not scene.kill_pods())


@pytest.fixture
def before(scene: RolloutScene) -> str:
    """The one release that is there, in use, with one pod."""
    release = scene.in_use()
    if release is None or scene.deployments().get(release) != 1:
        release = scene.released()
    scene.clear(but=release)
    eventually(lambda: len(scene.pods()) == 1)
    return release


def eventually(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)


@pytest.mark.usefixtures("nothing")
def test_users_notice_nothing(scene: RolloutScene) -> None:
    """Two releases and the end of the older ones' pods, under clients with new connections and with open ones."""
    two = {"warm_minutes": 0, "replicas": 2}
    first = scene.released(**two)
    with Callers(scene.address()) as callers:
        address = scene.address()
        second = scene.released(**two)
        scene.retire()
        third = scene.released(**two)
        scene.retire()
        assert scene.deployments() == {first: 0, second: 0, third: 2}
        eventually(lambda: callers.all_saw(third))
        assert scene.address() == address
    assert callers.failures == []
    assert callers.asked > 300
    assert callers.releases_of("new") == [first, second, third]


@pytest.mark.usefixtures("before")
def test_a_careless_switch_is_noticed(scene: RolloutScene) -> None:
    """The control: pods that end at once, without draining. Were this not seen, the test above would show nothing."""
    with Callers(scene.address()) as callers:
        eventually(lambda: callers.asked > 100)
        assert callers.failures == []
        scene.kill_pods()
        eventually(lambda: callers.failures)


@pytest.mark.parametrize("event", ["Making Deployment", "is ready in", "now goes to"])
def test_a_deployer_that_is_killed(scene: RolloutScene, before: str, event: str) -> None:
    """kill -9 right after an event, then the same again: one rollout, one record."""
    entries = len(scene.entries())
    plan = scene.plan()
    deployer = scene.start("roll_out", plan)
    deployer.until_it_says(event)
    assert deployer.end(signal.SIGKILL) == -signal.SIGKILL
    assert scene.in_use() in (before, plan.release)
    again = scene.run("roll_out", plan)
    assert again.wait() == 0, again.lines
    assert scene.in_use() == plan.release
    assert scene.deployments() == {before: 1, plan.release: 1}
    eventually(lambda: len(scene.pods()) == 2)
    written = [entry.key for entry in scene.entries()[entries:]]
    assert written == [f"{plan.release}/staging.roll_out", f"{plan.release}/staging.verify"]


def test_a_deployer_that_is_ended_clears_up(scene: RolloutScene, before: str) -> None:
    plan = scene.plan()
    deployer = scene.start("roll_out", plan)
    deployer.until_it_says("0 of 1 pods")
    assert deployer.end(signal.SIGTERM) == 3
    assert scene.in_use() == before
    assert scene.deployments() == {before: 1}
    assert scene.entries()[-1].reason == Reason.INTERRUPTED


def test_a_crashing_image(scene: RolloutScene, before: str) -> None:
    start = time.monotonic()
    deployer = scene.run("roll_out", scene.plan(scene.crashing, ready_seconds=120))
    assert time.monotonic() - start < 60, "the wait ends when there is no hope"
    assert deployer.wait() == 2
    failure = scene.entries()[-1]
    assert failure.reason == Reason.ROLLOUT_NOT_READY
    assert "it has the opset 99" in failure.sentence
    assert (scene.in_use(), scene.deployments()) == (before, {before: 1})
    eventually(lambda: len(scene.pods()) == 1)


def test_an_image_that_never_gets_ready(scene: RolloutScene, before: str) -> None:
    deployer = scene.run("roll_out", scene.plan(scene.sleeping, ready_seconds=5))
    assert deployer.wait() == 2
    failure = scene.entries()[-1]
    assert failure.reason == Reason.ROLLOUT_NOT_READY
    assert "probe failed" in failure.sentence
    assert "loading the model" in failure.sentence
    assert (scene.in_use(), scene.deployments()) == (before, {before: 1})


@pytest.mark.usefixtures("nothing")
def test_an_image_that_is_not_there(scene: RolloutScene) -> None:
    missing = scene.image.partition("@")[0] + "@sha256:" + "0" * 64
    deployer = scene.run("roll_out", scene.plan(missing))
    assert deployer.wait() == 2
    assert "not found" in scene.entries()[-1].sentence
    assert (scene.in_use(), scene.deployments()) == (None, {})


def test_a_release_over_the_quota(scene: RolloutScene, before: str) -> None:
    """It is seen before anything is made, and what is missing is said."""
    with scene.quota({"limits.memory": "1Gi", "limits.cpu": "100"}):
        deployer = scene.run("roll_out", scene.plan())
        assert deployer.wait() == 2
    assert not any("Making Deployment" in line for line in deployer.lines)
    failure = scene.entries()[-1]
    assert failure.reason == Reason.ROLLOUT_REFUSED
    assert "limits.memory of quota tight: wanted 1024Mi, used 1Gi of 1Gi" in failure.sentence
    assert (scene.in_use(), scene.deployments()) == (before, {before: 1})


def test_a_quota_that_a_warm_release_holds_is_waited_for(scene: RolloutScene, before: str) -> None:
    current = scene.released()
    with scene.quota({"pods": "2"}):
        plan = scene.plan()
        deployer = scene.start("roll_out", plan)
        deployer.until_it_says(f"{before} (1 pod, warm until")
        annotation = {names.WARM_UNTIL: "2026-01-01T00:00:00Z"}
        scene.cluster.patch("Deployment", names.object_name(before), {"metadata": {"annotations": annotation}})
        assert deployer.wait() == 0, deployer.lines
    assert scene.in_use() == plan.release
    assert scene.deployments() == {before: 0, current: 1, plan.release: 1}


def test_a_pod_that_no_node_takes(scene: RolloutScene, before: str) -> None:
    """It is named at once, waited for once, and not tried again."""
    start = time.monotonic()
    huge = {"cpu": "500", "cpu_limit": "500"}
    deployer = scene.start("roll_out", scene.plan(ready_seconds=20, resources=huge))
    deployer.until_it_says("Insufficient cpu", seconds=15)
    assert deployer.wait() == 2, "permanent: Airflow does not try it again"
    assert time.monotonic() - start < 60
    failure = scene.entries()[-1]
    assert failure.reason == Reason.ROLLOUT_NO_CAPACITY
    assert "cpu 500" in failure.sentence
    assert "Insufficient cpu" in failure.sentence
    assert (scene.in_use(), scene.deployments()) == (before, {before: 1})


@pytest.mark.usefixtures("nothing")
def test_a_release_that_turns_out_wrong_is_taken_back(scene: RolloutScene) -> None:
    """Users go back to the release before, though its pods had been ended meanwhile; nobody is refused."""
    before = scene.released(warm_minutes=0)
    plan = scene.plan(warm_minutes=0)
    with Callers(scene.address()) as callers:
        assert scene.run("roll_out", plan).wait() == 0
        scene.retire()
        assert scene.deployments() == {before: 0, plan.release: 1}
        scene.answer_otherwise(plan.release)
        deployer = scene.run("verify", plan)
        assert deployer.wait() == 2, deployer.lines
        eventually(lambda: callers.all_saw(before))
    assert callers.failures == []
    assert (scene.in_use(), scene.deployments()) == (before, {before: 1})
    assert (scene.traffic().release, scene.traffic().verified) == (before, True)
    assert any(entry.reason == Reason.VERIFY_WRONG_RELEASE for entry in scene.entries())


@pytest.mark.usefixtures("nothing")
def test_what_was_ordered_earlier_does_not_take_over(scene: RolloutScene) -> None:
    earlier = scene.plan()
    newer = scene.released(autoscale={"minimum": 1, "maximum": 3})
    assert [found["metadata"]["name"] for found in scene.cluster.list("HorizontalPodAutoscaler")]
    deployer = scene.run("roll_out", earlier)
    assert deployer.wait() == 2
    assert scene.entries()[-1].reason == Reason.ROLLOUT_SUPERSEDED
    assert (scene.in_use(), scene.deployments()) == (newer, {newer: 1})


@pytest.mark.usefixtures("nothing")
def test_a_model_that_answers_otherwise_gets_no_users(scene: RolloutScene) -> None:
    """Two labels of ten are swapped. Golden pictures and what users asked show it; the same model again passes."""
    recording = {"settings": {"SERVING_RECORD_REQUESTS": "50"}}
    first = scene.released(**recording)
    for digit in "0123456789" * 2:
        assert best_label(scene.address(), scene.golden_picture(digit)) == digit

    model, image = scene.with_swapped_labels("1", "7")
    refused = scene.plan(image, gates={"flips": "<= 5%", "p95": "<= 100x"}, model=model, **recording)
    assert scene.run("roll_out", refused).wait() == 2
    assert scene.in_use() == first
    assert refused.release not in scene.deployments()
    entry = scene.entries()[-1]
    assert entry.reason == Reason.GATE_FLIPS
    diff = PredictionDiff.model_validate(entry.data["prediction_diff"])
    assert diff.sources == {"golden": 10, "recorded": 20}
    assert {(one.before, one.after): one.count for one in diff.classes} == {("1", "7"): 3, ("7", "1"): 3}
    assert (diff.flip_percent, diff.verdicts["p95"].passed) == (20.0, True)

    same = scene.plan(gates={"flips": "<= 0%", "p95": "<= 100x"}, **recording)
    deployer = scene.run("roll_out", same)
    assert deployer.wait() == 0, deployer.lines
    assert scene.in_use() == same.release
    rolled_out = next(one for one in scene.entries() if one.key == f"{same.release}/staging.roll_out")
    assert rolled_out.data["prediction_diff"]["flips"] == 0
