"""The rehearsal on a real cluster: images that are there start and answer, and one that is gone is named."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import requests
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.clients.kube.cluster import KubeCluster
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ModelSource
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.prepare_probe import prepare_probe
from nightferry.steps.trial.rehearse import rehearse

from tests.e2e.drill_scene import trial_namespace
from tests.e2e.rollout_scene import SERVICE, RolloutScene

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("trial")]  # one at a time is in that namespace


@pytest.fixture(scope="module")
def trial(scene: RolloutScene) -> KubeCluster:
    return trial_namespace(scene, "rehearsal")


def tried(scene: RolloutScene, trial: KubeCluster, folder: Path) -> LedgerEntry:
    """A rehearsal of the scene's good releases."""
    clock = SystemClock()
    return rehearse(
        SERVICE,
        cluster=trial,
        ledger=scene.ledger,
        prepare=lambda plan: prepare_probe(
            plan,
            connect.models(scene.settings, ModelSource(repository=plan.model_repository)),
            folder / plan.release,
            clock,
        ),
        clock=clock,
        night=uuid.uuid4().hex,
        actor="test",
    )


def own_image(scene: RolloutScene) -> str:
    """The scene's image with a digest that no other scene has, and so none removes."""
    dockerfile = scene.folder / uuid.uuid4().hex / "Dockerfile"
    dockerfile.parent.mkdir()
    text = f"ARG GOOD\nFROM ${{GOOD}} AS another\nENV ANOTHER={dockerfile.parent.name}\n"
    dockerfile.write_text(text, encoding="utf-8")
    return scene._build(BuildRequest(dockerfile, "another", {}, {"GOOD": scene.image}))


def purge(image: str) -> None:
    """Remove it from the registry."""
    host, name, digest = image.replace("@", "/").rsplit("/", 2)
    requests.delete(f"http://{host}/v2/{name}/manifests/{digest}", timeout=10).raise_for_status()


def test_good_releases_are_tried_and_one_whose_image_is_gone_is_named(
    scene: RolloutScene, trial: KubeCluster, tmp_path: Path
) -> None:
    plans = [scene.plan(image=own_image(scene), name="production") for _ in range(2)]
    assert [scene.run("roll_out", plan).wait() for plan in plans] == [0, 0]
    first, second = (plan.release for plan in plans)
    assert tried(scene, trial, tmp_path).reason == Reason.REHEARSED

    purge(plans[1].image)  # the node has it still
    found = tried(scene, trial, tmp_path)
    assert found.reason == Reason.REHEARSAL_FAILED
    state = read_state(scene.ledger, SERVICE)
    assert state.rehearsal is not None
    assert state.rehearsal.outcomes == {second: "not_pulled", first: "right"}
    assert trial.list("Deployment") == []
    assert trial.get("Lease", "nightferry-trial") is None
    assert scene.in_use() == second  # production was left alone
