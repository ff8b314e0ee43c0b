"""Previews on a real cluster: one comes up and is compared, and afterwards nothing of it is left, whoever ended it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.service_client import ServiceClient
from nightferry.deployer.doors import address_of
from nightferry.entities.candidate import Candidate, PinnedSource
from nightferry.entities.judging.prediction_diff import DIFF, PredictionDiff
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.preview import Preview
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import ModelSource, ServiceSpec
from nightferry.errors import Permanent
from nightferry.manifests import preview as manifests
from nightferry.sandbox.kubernetes.cluster_objects import MANIFESTS
from nightferry.steps.record.preview_record import preview_entries, record_pinned
from nightferry.steps.record.record import record_step
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.prepare_probe import prepare_probe
from nightferry.steps.trial.previews.bring_up import bring_up
from nightferry.steps.trial.previews.compare import compare_preview
from nightferry.steps.trial.previews.end import end_over, end_preview

from tests.e2e.drill_scene import trial_namespace
from tests.e2e.rollout_scene import SERVICE, RolloutScene

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("trial")]
OF_THE_NAMESPACE = {"ServiceAccount", "ConfigMap", "ResourceQuota", "Event"}
"""Kinds of which a namespace has something of its own."""


class Stage:
    """A scene whose production serves a release, and a namespace for previews with the quotas of the real one."""

    def __init__(self, scene: RolloutScene, folder: Path) -> None:
        self.scene, self.clock, self._folder = scene, SystemClock(), folder
        self.trial = trial_namespace(scene, "previews")
        for one in yaml.safe_load_all((MANIFESTS / "cluster" / "trial.yaml").read_text(encoding="utf-8")):
            if one["kind"] == "ResourceQuota":
                one["metadata"]["namespace"] = self.trial.namespace
                self.trial.create(one)
        self.in_use = scene.released(name="production", resources={"cpu": "50m"})
        self.model, self.image = scene.with_swapped_labels("1", "7")

    def ask(self, run: str, model: PinnedModel, image: str) -> str:
        """Pin a preview, and write down that its image was built and tested."""
        source = PinnedSource(repository=".", ref="main", commit="c" * 40, tree="d" * 40, path="serving_app")
        candidate = Candidate(service=SERVICE, model=model, source=source, base_image=image, recipe="e" * 64)
        place = {"name": "production", "namespace": self.scene.name, "service_type": "NodePort"}
        spec = ServiceSpec.model_validate(
            {
                "service": SERVICE,
                "owner": "tests",
                "model": {"repository": f"azure-blob://{self.scene.name}-models/{SERVICE}"},
                "image": {"repository": image.partition("@")[0]},
                "environments": [{**place, "resources": {"cpu": "50m"}}],
            }
        )

        def numbered(name: str) -> Preview:
            return Preview(
                preview=name, service=SERVICE, actor="ana", hours=1, candidate=candidate, spec=spec.to_json()
            )

        ledger = self.scene.ledger
        made = Preview.model_validate(record_pinned(ledger, self.clock, SERVICE, f"run:{run}", numbered).data)
        decision = made.decision(f"run:{run}")
        for step, data in (("build_image", {"candidate_image": image}), ("test_image", {"checked": 1})):
            record_step(ledger, self.clock, decision, step, sentence="Done.", data=data)
        return made.preview

    def bring_up(self, preview: str) -> LedgerEntry:
        """As the deployer does."""
        folder = self._folder / preview

        def models(plan: RolloutPlan) -> Any:
            return connect.models(self.scene.settings, ModelSource(repository=plan.model_repository))

        def compare(plan: RolloutPlan) -> PredictionDiff | None:
            return compare_preview(
                plan,
                users=self.scene.cluster,
                in_use=partial(address_of, self.scene.cluster, SERVICE, "cluster-ip"),
                candidate=partial(address_of, self.trial, plan.release, "cluster-ip"),
                models=models(plan),
                golden=folder / "golden",
                scratch=folder / "in-use",
                clock=self.clock,
            )

        return bring_up(
            preview,
            cluster=self.trial,
            ledger=self.scene.ledger,
            prepare=lambda plan: prepare_probe(plan, models(plan), folder / "golden", self.clock),
            compare=compare,
            clock=self.clock,
        )

    def left(self) -> list[str]:
        """Everything in the namespace, of all kinds that the cluster knows, but what the namespace has by itself."""
        from kubernetes.dynamic import DynamicClient

        found = []
        for kind in DynamicClient(self.scene._api).resources.search():
            if not getattr(kind, "namespaced", False) or "list" not in (kind.verbs or []) or "/" in kind.name:
                continue
            if kind.kind in OF_THE_NAMESPACE or kind.kind.endswith("List"):
                continue
            found += [f"{kind.kind} {one.metadata.name}" for one in kind.get(namespace=self.trial.namespace).items]
        return sorted(set(found))

    def open(self) -> list[str]:
        return [one.preview for one in read_state(self.scene.ledger, SERVICE).previews]


@pytest.fixture(scope="module")
def stage(scene: RolloutScene, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(scene, tmp_path_factory.mktemp("previews"))


def test_it_answers_at_its_address_is_compared_and_nothing_is_left_after_its_end(stage: Stage) -> None:
    preview = stage.ask("ended", stage.model, stage.image)
    entry = stage.bring_up(preview)
    assert entry.reason == Reason.PREVIEWED
    said = ServiceClient(entry.data["address"]).get("/version").document()
    assert (said["release"], said["environment"]) == (preview, "preview")
    assert entry.data[DIFF]["flips"] >= 2, entry.data  # a one is a seven, and a seven a one
    assert (entry.data[DIFF]["in_use"], entry.data[DIFF]["lost"]) == (stage.in_use, 0)
    assert {one.partition(" ")[0] for one in stage.left()} >= {"Job", "Pod", "Service", "NetworkPolicy"}

    ending = {"cluster": stage.trial, "ledger": stage.scene.ledger, "clock": stage.clock, "actor": "bo"}
    assert end_preview(preview, **ending).reason == Reason.PREVIEW_ENDED
    eventually(lambda: stage.left() == [], 60)
    assert stage.open() == []
    assert stage.scene.in_use() == stage.in_use


def test_the_cluster_alone_ends_it_and_removes_all_of_it(stage: Stage) -> None:
    preview = stage.ask("alone", stage.model, stage.image)
    stage.bring_up(preview)
    # Its hours, and the hour for which its end is kept, are seconds now.
    stage.trial.patch("Job", preview, {"spec": {"activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 2}})
    eventually(lambda: stage.left() == [], 90)


def test_what_the_cluster_ended_is_written_down_by_the_next_look(stage: Stage) -> None:
    preview = stage.ask("looked", stage.model, stage.image)
    stage.bring_up(preview)
    stage.trial.patch("Job", preview, {"spec": {"activeDeadlineSeconds": 1}})
    eventually(lambda: manifests.is_over(stage.trial.get("Job", preview) or {"metadata": {}}, stage.clock.now()), 60)
    assert preview in end_over(stage.trial, stage.scene.ledger, stage.clock)
    eventually(lambda: stage.left() == [], 60)
    last = preview_entries(stage.scene.ledger, preview)[-1]
    assert (last.actor, last.reason) == ("clock", Reason.PREVIEW_ENDED)


def test_one_that_crashes_leaves_nothing_but_its_last_words_on_the_record(stage: Stage) -> None:
    preview = stage.ask("crashing", stage.model, stage.scene.crashing)
    with pytest.raises(Permanent) as failed:
        stage.bring_up(preview)
    assert "opset 99" in failed.value.sentence
    eventually(lambda: stage.left() == [], 60)
    assert "opset 99" in preview_entries(stage.scene.ledger, preview)[-1].sentence


def test_the_clusters_own_quota_counts_the_places(stage: Stage) -> None:
    held = [_held(stage, number) for number in range(3)]
    with pytest.raises(Permanent) as failed:
        stage.bring_up(stage.ask("one too many", stage.model, stage.image))
    assert failed.value.reason == Reason.PREVIEW_FULL
    assert all(name in failed.value.sentence for name in held)
    for name in held:
        stage.trial.delete("Job", name)
    eventually(lambda: stage.left() == [], 60)


def eventually(condition: Callable[[], bool], seconds: float) -> None:
    """Look until it is so; `seconds` are for a busy machine."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it is not so yet"
        time.sleep(0.5)


def _held(stage: Stage, number: int) -> str:
    """The place of a preview of somebody else's."""
    pod = {
        "restartPolicy": "OnFailure",
        "activeDeadlineSeconds": 3600,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "service",
                "image": stage.scene.sleeping,
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    }
    name = f"preview-others-{number + 1}"
    notes = {manifests.UNTIL: "2999-01-01T00:00:00Z", manifests.BY: "cyd"}
    made = stage.trial.create(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "labels": manifests.LABELS, "annotations": notes},
            "spec": {"activeDeadlineSeconds": 3600, "template": {"spec": pod}},
        }
    )
    assert made
    return name
