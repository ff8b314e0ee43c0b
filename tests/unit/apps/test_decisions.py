"""What is decided about an app of its own: its contract and lock are pinned, and what moved is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from nightferry.entities.app.lock import LOCK
from nightferry.entities.decision import Decision, ReleaseRequest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.app.pin_app import AppPinner
from nightferry.steps.app.read_contract import read_contract
from nightferry.steps.app.recipe import APP_RECIPE
from nightferry.steps.app.requirements_files import lock_key
from nightferry.steps.deciding.decide import decide
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.record.ledger import Chain

from tests.fakes.a_release import walked
from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.memory.memory_locks import MemoryLocks
from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.memory.memory_source import MemorySource
from tests.fakes.model_versions import write_version
from tests.fakes.service_specs import digits_spec
from tests.fakes.still_clock import StillClock

BASES = {"debian-12": f"registry/base@sha256:{'1' * 64}"}
APP = {"app/app.py": b"app = 1\n", "app/requirements.txt": b"flask\n"}


class World:
    """A service with an app of its own, whose requirements were resolved to one package."""

    def __init__(self, folder: Path) -> None:
        self.root, self.folder = folder / "project", folder
        for name in APP_RECIPE:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text("FROM base AS runtime\n")
        self.models, self.source, self.ledger, self.locks = (
            MemoryModels(),
            MemorySource(),
            MemoryLedger(),
            MemoryLocks(),
        )
        self.clock = StillClock("2026-11-21T01:00:00+00:00")
        self.spec = digits_spec(source={"ref": "main", "path": "app"})
        self.source.commit("main", APP)
        place = write_version(folder, "one", {"model.onnx": b"weights"})
        self.models.publish(place, *read_manifest(place))

    def pinner(self) -> AppPinner:
        return AppPinner(self.root, self.folder / "work", BASES, self.locks)

    def lock(self, number: int, **versions: str) -> None:
        """As if the app's requirements had been resolved to these."""
        app = self.folder / "exported"
        self.source.export(self.source.refs["main"], "app", app)
        key = lock_key(app, read_contract(app), BASES["debian-12"], ("granian",))
        packages = [
            {"name": name, "version": version, "file": f"{name}.whl", "sha256": "a" * 64, "kind": "index"}
            for name, version in versions.items()
        ]
        made = self.folder / f"lock-{number}"
        made.mkdir()
        content = {"schema": 1, "base_image": BASES["debian-12"], "python": "3.11", "packages": packages}
        (made / LOCK).write_text(json.dumps(content))
        assert self.locks.create(key, number, made)

    def decide(self, key: str, **request: Any) -> Decision:
        return decide(
            self.spec,
            ReleaseRequest(**request),
            key=key,
            actor="ana",
            models=self.models,
            source=self.source,
            ledger=self.ledger,
            base_image=BASES["debian-12"],
            recipe="2" * 64,
            clock=self.clock,
            apps=self.pinner(),
        )

    def release(self, key: str) -> Decision:
        decision = self.decide(key)
        walked(self.ledger, self.clock, decision)
        return decision


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.lock(1, flask="3.0.0")
    return world


def test_contract_and_lock_are_pinned(world: World) -> None:
    decision = world.decide("run:1")
    assert decision.candidate.app is not None
    assert decision.candidate.app.start[:1] == ("granian",)
    assert decision.candidate.lock is not None
    assert decision.candidate.lock.packages == {"flask": "3.0.0"}
    entry = Chain(world.ledger, "digits").head
    assert entry is not None
    assert Decision.model_validate(entry.data) == decision


def test_a_renewed_lock_is_released_and_what_moved_is_said(world: World) -> None:
    world.release("run:1")
    assert world.decide("run:2").reason == Reason.UNCHANGED
    world.lock(2, flask="3.1.0", jinja2="3.1.6")
    decision = world.decide("run:3")
    assert decision.reason == Reason.NEW_PACKAGES
    assert "flask 3.0.0 → 3.1.0, new: jinja2 3.1.6" in decision.sentence


def test_a_commit_that_leaves_the_requirements_leaves_the_lock(world: World) -> None:
    world.release("run:1")
    world.source.commit("main", APP | {"app/app.py": b"app = 2\n"})
    decision = world.decide("run:2")
    assert decision.reason == Reason.NEW_SOURCE
    assert decision.candidate.lock is not None
    assert decision.candidate.lock.number == 1


def test_a_commit_that_changes_the_requirements_says_what_moved_too(world: World) -> None:
    world.release("run:1")
    world.source.commit("main", APP | {"app/requirements.txt": b"flask>=3.1\n"})
    world.lock(1001, flask="3.1.0")
    decision = world.decide("run:2")
    assert decision.reason == Reason.NEW_SOURCE
    assert "flask 3.0.0 → 3.1.0" in decision.sentence


def test_a_changed_recipe_is_a_new_platform(world: World) -> None:
    world.release("run:1")
    (world.root / APP_RECIPE[0]).write_text("FROM base AS runtime\nENV A=1\n")
    assert world.decide("run:2").reason == Reason.NEW_PLATFORM


def test_an_app_that_is_wrong_is_on_the_record_and_nothing_is_released(world: World) -> None:
    world.source.commit("main", APP | {"app/nightferry.yaml": b"port: 80\n"})
    with pytest.raises(Permanent) as raised:
        world.decide("run:1")
    assert raised.value.reason is Reason.APP_CONTRACT_INVALID
    entry = Chain(world.ledger, "digits").head
    assert entry is not None
    assert (entry.reason, entry.data["go"]) == (Reason.APP_CONTRACT_INVALID, False)


def test_a_base_that_the_installation_does_not_have_names_the_setting(world: World) -> None:
    world.source.commit("main", APP | {"app/nightferry.yaml": b"base: debian-13\n"})
    with pytest.raises(Permanent) as raised:
        world.decide("run:1")
    assert raised.value.reason is Reason.SETTING_MISSING
    assert "NIGHTFERRY_BASE_IMAGE_DEBIAN_13" in raised.value.sentence


def test_what_was_never_resolved_is_left_open_without_a_builder(tmp_path: Path) -> None:
    decision = World(tmp_path).decide("run:1")
    assert decision.candidate.lock is None
    assert "never resolved" in decision.sentence


def test_an_upgraded_stock_service_is_a_new_platform(world: World, tmp_path: Path) -> None:
    from nightferry.clients.stock_source import StockSource

    place = tmp_path / "installation" / "serving_app"
    place.mkdir(parents=True)
    world.spec = digits_spec(source=None)
    world.source = StockSource(place.parent)  # type: ignore[assignment]
    (place / "app.py").write_text("one")
    first = world.release("run:1")
    assert first.candidate.app is None
    (place / "app.py").write_text("two")
    decision = world.decide("run:2")
    assert decision.reason == Reason.NEW_PLATFORM
    assert decision.sentence.startswith("The stock service is new")
