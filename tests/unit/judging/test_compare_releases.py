"""Two real services side by side: golden pictures and what users asked the one in use go to both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nightferry.clients.clock import SystemClock
from nightferry.entities.app.contract import AppContract
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.model_version import MANIFEST, ModelManifest, manifest_sha256, parse_manifest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.steps.rollout.gates.compare_releases import NOT_REPLAYABLE, Addresses, compare_releases

from tests.fakes import golden_models
from tests.fakes.a_diff import GATES
from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.scripted_app import served
from tests.fakes.worlds.rollout_world import plan
from tests.serving_app.models import picture, score_body
from tests.serving_app.running import Service, free_port

ASKED = [0, 0, 0, 64, 128, 128, 200, 255, 255, 255]
"""The greys that users sent to the release in use."""


@dataclass
class Two:
    """A release in use, and a candidate that says dark where the other says light."""

    in_use: Service
    candidate: Service
    status_port: int
    folder: Path
    """Of the candidate's model."""
    theirs: bytes
    """model.json of the one in use."""

    @property
    def manifest(self) -> ModelManifest:
        return parse_manifest((self.folder / MANIFEST).read_bytes())

    def compare(self, scratch: Path, **given: Any) -> PredictionDiff:
        models = MemoryModels()
        models.blobs[f"v1/{MANIFEST}"] = self.theirs
        addresses = Addresses(*(f"http://127.0.0.1:{one.port}" for one in (self.in_use, self.candidate)))
        words: dict[str, Any] = {
            "plan": plan("digits-2026-11-21.2").model_copy(update={"gates": GATES}),
            "stable": service("v1", manifest_sha256(self.theirs)),
            "addresses": addresses,
            "cluster": OnePod(),
            "models": models,
            "manifest": self.manifest,
            "golden": self.folder,
            "scratch": scratch,
            "clock": SystemClock(),
        }
        words |= given
        return compare_releases(words.pop("plan"), words.pop("stable"), words.pop("addresses"), **words)


def service(version: str, sha256: str) -> dict[str, Any]:
    notes = {names.RELEASE: "digits-2026-11-21.1", names.MODEL: version, names.MODEL_SHA256: sha256}
    return {"kind": "Service", "metadata": {"name": "digits", "annotations": notes}, "spec": {}}


class OnePod:
    """A namespace with one ready pod, of the release in use."""

    namespace = "staging"

    def list(self, kind: str, labels: dict[str, str]) -> list[dict[str, Any]]:
        assert (kind, labels) == ("Pod", names.selector("digits", "digits-2026-11-21.1"))
        return [
            {
                "metadata": {"name": "digits-1"},
                "spec": {"containers": [{"name": "service", "image": "i"}]},
                "status": {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
            }
        ]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    base = tmp_path_factory.mktemp("two")
    golden_models.write_shades(base / "v1")
    golden_models.write_shades(base / "v2", version="v2", labels=["dark", "middling", "bright"])
    port = free_port()
    recording = {"SERVING_STATUS_PORT": str(port), "SERVING_RECORD_REQUESTS": "100", "SERVING_WORKERS": "1"}
    services = [Service(base / "v1", recording), Service(base / "v2", {"SERVING_WORKERS": "1"})]
    try:
        for one in services:
            one.wait_ready()
        for grey in ASKED:
            assert services[0].post("/score", score_body(picture(grey)))[0] == 200
        yield Two(*services, port, base / "v2", (base / "v1" / MANIFEST).read_bytes())
    finally:
        for one in services:
            one.kill()


@pytest.fixture(autouse=True)
def _ports(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "STATUS_PORT", two.status_port)


def test_what_users_asked_is_compared_and_nothing_of_it_is_told(two: Two, tmp_path: Path) -> None:
    diff = two.compare(tmp_path)
    assert diff.sources == {"golden": 3, "recorded": len(ASKED)}
    assert [(one.before, one.after) for one in diff.classes] == [("light", "bright")]
    lights = 1 + sum(grey > 191 for grey in ASKED)
    assert (diff.flips, diff.lost, diff.not_comparable) == (lights, 0, {})
    assert (diff.verdicts["flips"].passed, diff.verdicts["flips"].judged) == (False, True)
    assert diff.latency is not None
    assert diff.latency.pairs >= 20
    assert f"{len(ASKED)} recorded requests from 1 of 1 pods" in diff.recorded
    told = json.dumps(diff.to_json())
    for grey in set(ASKED) - set(golden_models.GREYS.values()):
        assert score_body(picture(grey))["input"][10:-10] not in told
    assert {one.sha256 for one in diff.largest if one.source == "recorded"} <= {""}


def test_the_comparisons_own_requests_are_not_recorded(two: Two, tmp_path: Path) -> None:
    assert two.compare(tmp_path).sources == two.compare(tmp_path).sources == {"golden": 3, "recorded": len(ASKED)}


def test_requests_that_cannot_be_asked_again_are_in_the_report(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served() as pod:
        left_out = {"inputs": [{"name": "other", "data": [1]}], "omitted": ["image"], "labels": None}
        pod.says("/recorded", {"requests": [left_out] * 4, "too_large": 0})
        monkeypatch.setattr(names, "STATUS_PORT", pod.port)
        diff = two.compare(tmp_path)
    assert diff.not_comparable == {NOT_REPLAYABLE: 4}
    assert diff.sources == {"golden": 3}
    assert diff.verdicts["flips"].judged is False


def test_pods_that_are_silent_are_in_the_report(two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "STATUS_PORT", 9)
    assert "1 did not answer" in two.compare(tmp_path).recorded


def test_a_release_in_use_that_is_silent_is_no_verdict(two: Two, tmp_path: Path) -> None:
    addresses = Addresses("http://127.0.0.1:9", f"http://127.0.0.1:{two.candidate.port}")
    with pytest.raises(Temporary) as caught:
        two.compare(tmp_path, addresses=addresses)
    assert caught.value.reason == Reason.VERIFY_UNREACHABLE
    assert "digits-2026-11-21.1" in caught.value.sentence


@pytest.mark.parametrize(
    "stable", [service("v1", "f" * 64), service("gone", "f" * 64), service("", "")], ids=["changed", "gone", "unknown"]
)
def test_without_the_model_in_use_nothing_passes(two: Two, tmp_path: Path, stable: dict[str, Any]) -> None:
    with pytest.raises(Permanent) as caught:
        two.compare(tmp_path, stable=stable)
    assert caught.value.reason == Reason.GATE_FLIPS
    assert "digits-2026-11-21.1" in caught.value.sentence


def test_an_app_of_its_own_is_asked_its_checks_and_keeps_nothing(two: Two, tmp_path: Path) -> None:
    checks = [{"request": {"get": "/livez"}, "answer": {"text": "ok"}}]
    contract = AppContract.model_validate({"port": 8080, "checks": checks})
    ours = plan("digits-2026-11-21.2").model_copy(update={"gates": GATES, "app": contract})
    diff = two.compare(tmp_path, plan=ours)
    assert diff.sources == {"check": 1, "golden": 3}
    assert diff.recorded == ""
