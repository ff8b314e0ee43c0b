"""Which images are kept: what is in use, on a cluster, good, under way, recent or unknown; and what could go."""

from __future__ import annotations

import pytest
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.entities.state.service_state import KEPT_GOOD
from nightferry.errors import Temporary
from nightferry.manifests import names
from nightferry.steps.image.keep import RECENT
from nightferry.steps.image.pullable import check_images
from nightferry.steps.record.state import read_state

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.worlds.image_world import CANDIDATES, REPOSITORY, ImageWorld
from tests.fakes.worlds.rollout_world import image

DAYS = [f"digits-2026-11-{day}.1" for day in range(21, 30)]


@pytest.fixture
def world() -> ImageWorld:
    """Six good releases a day apart; of the oldest three no Deployment is left. The newest was a month ago."""
    world = ImageWorld()
    for release in DAYS[:6]:
        world.release(release)
    for release in DAYS[:3]:
        world.forget(release)
    world.clock.advance(30 * 24 * 3600)
    return world


def why(world: ImageWorld, release: str, repository: str = REPOSITORY) -> tuple[str, ...]:
    """Why a release's image is kept."""
    return next(
        one.why for one in world.judged() if one.image == ImageRef.parse(image(release).replace(REPOSITORY, repository))
    )


def test_in_use_and_the_last_good_are_kept_and_older_ones_could_go(world: ImageWorld) -> None:
    assert world.going(keep=3) == {*DAYS[:3], *(f"c:{name}" for name in DAYS[:3])}
    assert world.going(keep=5) == {DAYS[0], f"c:{DAYS[0]}"}
    assert "in use in production" in why(world, DAYS[5])


def test_more_good_ones_than_the_state_remembers(world: ImageWorld) -> None:
    for release in DAYS[6:8]:
        world.release(release)
    assert len(read_state(world.ledger, "digits").good) == KEPT_GOOD
    world.clock.advance(30 * 24 * 3600)
    for release in DAYS[:8]:
        world.forget(release)
    assert world.going(keep=6) == {*DAYS[:2], *(f"c:{name}" for name in DAYS[:2])}


def test_what_a_person_left_takes_no_good_ones_place(world: ImageWorld) -> None:
    for release in DAYS[6:8]:
        world.release(release)
    world.roll_back()
    for release in DAYS[:8]:
        world.forget(release)
    world.clock.advance(30 * 24 * 3600)
    assert world.going(keep=6) & set(DAYS) == {DAYS[0], DAYS[7]}


def test_failed_releases_take_no_good_ones_place(world: ImageWorld) -> None:
    for release in DAYS[6:]:
        world.release(release, wrong=True)
        world.forget(release)
    world.clock.advance(30 * 24 * 3600)
    for release in DAYS[3:5]:
        world.forget(release)
    going = world.going(keep=3)
    assert not going & set(DAYS[3:6])
    assert set(DAYS[6:8]) <= going


def test_what_a_cluster_has_something_of_is_kept_however_old(world: ImageWorld) -> None:
    world.cluster.apply(_deployment(DAYS[0]))
    assert world.going(keep=3) == {*DAYS[1:3], *(f"c:{name}" for name in DAYS[1:3])}
    assert why(world, DAYS[0]) == (f"{DAYS[0]} is there in production",)


def test_an_object_without_annotations_counts_by_its_pods(world: ImageWorld) -> None:
    made = _deployment(DAYS[0])
    made["metadata"]["annotations"] = {names.RELEASE: DAYS[0]}
    world.cluster.apply(made)
    assert DAYS[0] not in world.going(keep=3)


def test_a_namespace_that_the_file_names_no_more_is_looked_at(world: ImageWorld) -> None:
    world.clock.advance(1)
    world.decide(DAYS[6], name="production", namespace="crm")
    there = MemoryCluster(world.clock, "crm")
    there.apply(_deployment(DAYS[0]))
    world.elsewhere["nightferry_cluster", "crm"] = there
    assert DAYS[0] not in world.going(keep=3)


def test_the_release_under_way_is_kept_however_long_it_takes(world: ImageWorld) -> None:
    world.publish(DAYS[6])
    world.clock.advance(30 * 24 * 3600)
    assert not world.going(keep=3) & {DAYS[6], f"c:{DAYS[6]}"}
    assert f"{DAYS[6]} is under way" in why(world, DAYS[6], CANDIDATES)


def test_what_was_asked_for_lately_is_kept(world: ImageWorld) -> None:
    for release in DAYS[6:8]:
        world.release(release, wrong=True)
        world.forget(release)
    assert DAYS[6] not in world.going(days=7)
    world.clock.advance(7 * 24 * 3600)
    assert DAYS[6] in world.going(days=7)
    assert DAYS[6] not in world.going(days=30)


def test_the_last_hours_are_kept_whatever_is_asked_for(world: ImageWorld) -> None:
    world.publish(DAYS[6])
    world.publish(DAYS[7])  # the other one is open no more
    world.clock.advance(RECENT.total_seconds() - 60)
    assert DAYS[6] not in world.going(days=0)
    world.clock.advance(120)
    assert DAYS[6] in world.going(days=0)


def test_what_the_record_does_not_know_is_kept(world: ImageWorld) -> None:
    foreign = ImageRef(REPOSITORY, "sha256:" + "f" * 64)
    world.registry.push(foreign, ("by-hand",))
    world.registry.push(ImageRef.parse(image(DAYS[1])), ("letters-2026-11-21.1",))
    moved = ImageRef(REPOSITORY, "sha256:" + "e" * 64)
    world.registry.push(moved, (DAYS[2],))
    kept = {one.image: one.why for one in world.judged() if one.why}
    assert kept[foreign] == ("the record does not know the tag by-hand",)
    assert kept[moved] == (f"the record knows another image as {DAYS[2]}",)
    assert kept[ImageRef.parse(image(DAYS[1]))] == ("the record does not know the tag letters-2026-11-21.1",)


def test_an_image_that_two_releases_share_is_kept_for_the_one_that_is_needed(world: ImageWorld) -> None:
    old = ImageRef.parse(image(DAYS[5]))
    world.registry.push(old, (world.inputs(DAYS[0]),))
    assert "in use in production" in why(world, DAYS[5])


def test_an_image_that_a_kept_index_names_is_kept(world: ImageWorld) -> None:
    part = ImageRef.parse(image(DAYS[0]))
    world.registry.parts[ImageRef.parse(image(DAYS[5])).digest] = (part.digest,)
    assert DAYS[0] not in world.going(keep=3)


def test_a_record_without_entries_lets_nothing_go(world: ImageWorld) -> None:
    world.ledger.blobs.clear()
    world.ledger.notes = {}
    for release in DAYS[:6]:
        world.forget(release)
    world.cluster.delete("Service", "digits")
    assert world.going() == set()


def test_the_look_follows_a_record_that_grows_and_one_that_was_restored(world: ImageWorld) -> None:
    lookout = world.lookout()
    assert lookout.look().state.open is None
    world.publish(DAYS[6])
    reads = world.ledger.reads
    sight = lookout.look()
    assert (sight.state.open, DAYS[6] in sight.record.images) == (DAYS[6], True)
    assert world.ledger.reads - reads < 20
    for name in sorted(world.ledger.blobs)[-3:]:
        del world.ledger.blobs[name]
    world.ledger.notes = {}
    assert DAYS[6] not in lookout.look().record.images


@pytest.mark.parametrize("silent", ["ledger", "cluster", "registry"])
def test_what_cannot_be_looked_at_is_no_sight(world: ImageWorld, silent: str) -> None:
    fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "away")
    getattr(world, silent).fault = fault
    with pytest.raises(Temporary):
        world.judged()


def test_a_needed_image_that_the_registry_lost_is_named(world: ImageWorld) -> None:
    world.registry.lost.add(f"layer of {DAYS[4]}")
    world.registry.delete(ImageRef.parse(image(DAYS[3])))
    world.registry.delete(ImageRef.parse(image(DAYS[0])))  # which nothing needs
    checked = check_images(world.lookout().look(), world.registry, keep=3)
    assert {one.image: one.missing for one in checked} == {
        image(DAYS[3]): (image(DAYS[3]).partition("@")[2],),
        image(DAYS[4]): (f"layer of {DAYS[4]}",),
        image(DAYS[5]): (),
    }


def _deployment(release: str) -> dict[str, object]:
    notes = {names.RELEASE: release, names.IMAGE: image(release)}
    labels = names.labels("digits", release)
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image(release)}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": names.object_name(release), "labels": labels, "annotations": notes},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod},
    }
