"""Two deployers for one service at once, on a real cluster: one works, and a dead one is taken over."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

import pytest
from nightferry.entities.reason import Reason
from nightferry.manifests import names
from nightferry.steps.rollout.lease.claim import LEASE_SECONDS

from tests.e2e.rollout_scene import SERVICE, RolloutScene

pytestmark = pytest.mark.sandbox


@pytest.fixture
def before(scene: RolloutScene) -> str:
    """A release that is in use, and one that was before it."""
    scene.clear()
    scene.released(name="production")
    return scene.released(name="production")


def holder(scene: RolloutScene) -> str:
    lease = scene.cluster.get("Lease", SERVICE)
    return str((lease or {}).get("spec", {}).get("holderIdentity") or "")


def reasons(scene: RolloutScene, release: str) -> list[str]:
    return [entry.reason for entry in scene.entries() if entry.release == release]


def test_two_attempts_at_one_order_and_a_dead_one(scene: RolloutScene, before: str) -> None:
    plan = scene.plan(name="production")
    dead = scene.start("roll_out", plan)
    dead.until_it_says("Making Deployment")
    assert plan.release in holder(scene)
    assert dead.end(signal.SIGKILL) == -signal.SIGKILL
    died = time.monotonic()
    two = [scene.start("roll_out", plan) for _ in range(2)]
    two[0].until_it_says("Waiting for the Lease")
    assert [one.wait() for one in two] == [0, 0], [one.lines for one in two]
    waited = time.monotonic() - died
    print(f"\nboth ended {waited:.1f} s after the kill; a Lease lasts {LEASE_SECONDS} s")
    assert scene.in_use() == plan.release
    assert reasons(scene, plan.release).count(Reason.ROLLED_OUT) == 1
    assert holder(scene) == ""


def test_a_later_order_and_a_person_go_first(scene: RolloutScene, before: str) -> None:
    earlier = scene.plan(scene.sleeping, name="production")
    first = scene.start("roll_out", earlier)
    first.until_it_says("0 of 1 pods")
    later = scene.plan(scene.sleeping, name="production")
    second = scene.start("roll_out", later)
    second.until_it_says("0 of 1 pods")
    assert first.wait() == 2
    assert reasons(scene, earlier.release)[-1] == Reason.ROLLOUT_SUPERSEDED
    assert names.object_name(earlier.release) not in [names.object_name(one) for one in scene.deployments()]
    third = scene.run("roll_out", earlier)
    assert third.wait() == 2, "it was ordered earlier"
    began = time.monotonic()
    said = scene.nightferry("rollback", SERVICE, "--reason", "for the test", "--by", "ana", "--json")
    assert said.returncode == 0, said.stderr
    print(f"\nthe rollback beside a rollout took {time.monotonic() - began:.1f} s, with the command's start")
    assert scene.in_use() != before
    assert second.wait() == 2
    assert reasons(scene, later.release)[-1] == Reason.ROLLOUT_SUPERSEDED
    assert later.release not in scene.deployments()


def test_without_the_right_a_rollout_says_so_and_a_rollback_works(scene: RolloutScene, before: str) -> None:
    with scene.without_leases() as settings:
        refused = scene.run("roll_out", scene.plan(name="production"), **settings)
        assert refused.wait() == 2
        assert any("roles.yaml" in line for line in refused.lines), refused.lines
        assert scene.in_use() == before
        said = scene.nightferry("rollback", SERVICE, "--reason", "for the test", "--by", "ana", **settings)
        assert said.returncode == 0, said.stderr
    assert scene.in_use() != before


def test_one_that_is_paused_notices_when_it_comes_back(scene: RolloutScene, before: str) -> None:
    plan = scene.plan(scene.sleeping, name="production", ready_seconds=120)
    paused = scene.start("roll_out", plan)
    paused.until_it_says("0 of 1 pods")
    paused.send(signal.SIGSTOP)
    again = scene.start("roll_out", plan)
    again.until_it_says("0 of 1 pods", LEASE_SECONDS + 60)
    paused.send(signal.SIGCONT)
    try:
        assert paused.wait() == 3
        assert any("has lost the Lease" in line for line in paused.lines), paused.lines
        assert plan.release in scene.deployments(), "the other one's work is left alone"
    finally:
        with suppress(ProcessLookupError):
            again.end(signal.SIGTERM)
