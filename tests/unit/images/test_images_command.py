"""`nightferry images`: list, check and prune."""

from __future__ import annotations

import json

import pytest
from nightferry.cli import main
from nightferry.cli.images.telling import EVERY, Telling
from nightferry.clients import connect
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary

from tests.fakes.still_clock import StillClock
from tests.fakes.worlds.image_world import ImageWorld
from tests.fakes.worlds.rollout_world import image

DAYS = [f"digits-2026-11-{day}.1" for day in range(21, 25)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, services) -> ImageWorld:
    """Four good releases; of the oldest no Deployment is left. The newest was a month ago."""
    world = ImageWorld()
    for release in DAYS:
        world.release(release)
    world.forget(DAYS[0])
    world.clock.advance(30 * 24 * 3600)
    file = services / "digits.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("127.0.0.1:5000/", "registry.example/"), encoding="utf-8")
    monkeypatch.setattr(connect, "ledger_store", lambda settings: world.ledger)
    monkeypatch.setattr(connect, "registry", lambda settings: world.registry)
    monkeypatch.setattr(connect, "cluster", lambda settings, name, connection: world.open_cluster(connection, name))
    for module in ("images", "pruning"):
        monkeypatch.setattr(f"nightferry.cli.images.{module}.SystemClock", lambda: world.clock)
    return world


def test_the_list_says_why_each_is_kept(world: ImageWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "list", "digits", "--keep", "3", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    of = {one["release"]: one for one in shown if not one["repository"].endswith("-candidates")}
    assert (of[DAYS[0]]["could_go"], of[DAYS[0]]["kept"]) == (True, [])
    assert "in use in production" in of[DAYS[3]]["kept"]
    assert of[DAYS[3]]["digest"] == image(DAYS[3]).partition("@")[2]
    assert (of[DAYS[3]]["bytes"], DAYS[3] in of[DAYS[3]]["tags"]) == (51_000_100, True)
    assert main(["images", "list", "digits", "--keep", "3"]) == 0
    said = capsys.readouterr().out
    assert "51.0 MB" in said
    assert "2 could go: at most 1.0 MB" in said


def test_without_yes_nothing_is_changed(world: ImageWorld, capsys: pytest.CaptureFixture[str]) -> None:
    before = len(world.ledger.blobs)
    for words in ([], ["--dry-run"]):
        assert main(["images", "prune", "digits", "--keep", "3", *words]) == 0
        said = capsys.readouterr().out
        assert "digits: 2 images could go, at most 1.0 MB; 6 are kept." in said
        assert "Nothing was changed." in said
    assert main(["images", "prune", "digits", "--keep", "3", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert ([one["release"] for one in shown["could_go"]], shown["removed"]) == ([DAYS[0]] * 2, None)
    assert (world.registry.deleted, len(world.ledger.blobs)) == ([], before)


def test_with_yes_it_is_removed(world: ImageWorld, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["images", "prune", "digits", "--keep", "3", "--yes", "--by", "ana"]
    assert main(words) == 0
    assert "digits: removed 2 of 2 images; 6 are kept." in capsys.readouterr().out
    assert {one.digest for one in world.registry.deleted} == {image(DAYS[0]).partition("@")[2]}
    assert [entry.actor for entry in world.told()] == ["ana"]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == []


def test_what_the_registry_refuses_is_said_and_is_no_success(
    world: ImageWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.registry.locked.add(ImageRef.parse(image(DAYS[0])))
    assert main(["images", "prune", "digits", "--keep", "3", "--yes", "--by", "ana"]) == 3
    said = capsys.readouterr().out
    assert "removed 1 of 2" in said
    assert "is locked" in said


def test_all_services_are_pruned_and_one_that_cannot_be_looked_at_keeps_its_own(
    world: ImageWorld, services, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (services / "digits.yaml").read_text(encoding="utf-8")
    (services / "aa.yaml").write_text(text.replace("digits", "aa").replace("namespace: ", "namespace: a"), "utf-8")
    (services / "broken.yaml").write_text("service: broken\nowner: [", encoding="utf-8")
    opened = world.open_cluster

    def open_cluster(connection: str, namespace: str) -> object:
        if namespace.startswith("a"):
            raise Temporary(Reason.CLUSTER_UNAVAILABLE, "The cluster is away.")
        return opened(connection, namespace)

    world.open_cluster = open_cluster
    assert main(["images", "prune", "--all", "--keep", "3", "--yes", "--by", "ana", "--json"]) in (2, 3)
    out, err = capsys.readouterr()
    assert [one["service"] for one in json.loads(out)] == ["digits"]
    assert "aa: The cluster is away." in err
    assert "broken: not looked at." in err
    assert len(world.registry.deleted) == 2


def test_a_silent_cluster_is_an_outside_system(world: ImageWorld, capsys: pytest.CaptureFixture[str]) -> None:
    world.cluster.fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "The cluster is away.")
    for verb in ("list", "check", "prune"):
        assert main(["images", verb, "digits"]) == 3
    assert world.registry.deleted == []


def test_the_check_names_what_cannot_be_pulled(world: ImageWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "check", "digits"]) == 0
    capsys.readouterr()
    world.registry.lost.add(f"layer of {DAYS[2]}")
    assert main(["images", "check", "digits", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["well"] is False
    assert {one["image"]: one["missing"] for one in shown["images"] if one["missing"]} == {
        image(DAYS[2]): [f"layer of {DAYS[2]}"]
    }
    world.registry.delete(ImageRef.parse(image(DAYS[3])))
    assert main(["images", "check", "digits"]) == 1
    said = capsys.readouterr().out
    assert "no manifest" in said
    assert "2 of 4 cannot be pulled" in said


@pytest.mark.parametrize(
    "words",
    [
        ["prune"],
        ["prune", "digits", "--all"],
        ["prune", "digits", "--yes", "--dry-run"],
        ["prune", "digits", "--older-than", "1h"],
        ["prune", "digits", "--older-than", "soon"],
        ["prune", "digits", "--keep", "0"],
        ["prune", "digist"],
        ["list", "digist"],
        ["check", "digits", "--keep", "some"],
    ],
)
def test_bad_input_changes_nothing(world: ImageWorld, words: list[str]) -> None:
    try:
        code = main(["images", *words])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert world.registry.deleted == []


def test_a_long_look_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    clock = StillClock()
    tell = Telling(clock)
    for number in range(10):
        tell(f"looked at {number}")
        clock.advance(EVERY / 2)
    assert capsys.readouterr().err.splitlines() == [f"looked at {number}" for number in (2, 4, 6, 8)]
