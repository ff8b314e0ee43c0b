"""Pruning: what is needed stays, whoever is silent, acts in between or is killed; the record says what went."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Temporary
from nightferry.steps.image.pullable import check_images
from nightferry.steps.record.ledger import append

from tests.fakes.worlds import rollout_world
from tests.fakes.worlds.image_world import CANDIDATES, REPOSITORY, ImageWorld
from tests.fakes.worlds.rollout_world import Killed, image

DAYS = [f"digits-2026-11-{day}.1" for day in range(21, 30)]


@pytest.fixture
def world() -> ImageWorld:
    """Six good releases; of the oldest three no Deployment is left. The newest was a month ago."""
    return a_world()


def a_world(count: int = 6, gone: int = 3) -> ImageWorld:
    """So many good releases, and of so many of them no Deployment is left."""
    world = ImageWorld()
    for release in DAYS[:count]:
        world.release(release)
    for release in DAYS[:gone]:
        world.forget(release)
    world.clock.advance(30 * 24 * 3600)
    return world


def both(releases: list[str]) -> set[ImageRef]:
    """The images of releases, in both repositories."""
    return {
        ImageRef(repository, ImageRef.parse(image(one)).digest)
        for one in releases
        for repository in (REPOSITORY, CANDIDATES)
    }


def announced(world: ImageWorld) -> list[str]:
    """The images that entries of the record say are removed."""
    return [one["image"] for entry in world.told() if entry.reason == Reason.PRUNED for one in entry.data["images"]]


def test_what_nothing_needs_is_removed_and_the_record_says_so_once(world: ImageWorld) -> None:
    done = world.prune()
    assert set(world.registry.deleted) == both(DAYS[:3])
    assert (len(done.removed), done.stayed) == (6, {})
    (entry,) = world.told()
    assert (entry.kind, entry.reason, entry.actor, entry.release) == ("images", "pruned", "ana", None)
    assert {one["image"] for one in entry.data["images"]} == {str(one) for one in both(DAYS[:3])}
    # Three layers and six manifests; the base is that of the images that are kept.
    assert entry.data["bytes"] == 3 * 1_000_000 + 3 * 100
    world.prune()
    assert len(world.told()) == 1


def test_nothing_to_remove_is_no_entry(world: ImageWorld) -> None:
    assert world.prune(keep=6).removed == []
    assert (world.registry.deleted, world.told()) == ([], [])


def test_all_that_is_needed_can_still_be_pulled(world: ImageWorld) -> None:
    world.prune()
    checked = check_images(world.lookout().look(), world.registry, keep=3)
    assert [one.image for one in checked] == [image(name) for name in DAYS[3:6]]
    assert [one.missing for one in checked] == [(), (), ()]


def silent(world: ImageWorld, what: str) -> None:
    getattr(world, what).fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "away")


@pytest.mark.parametrize("what", ["ledger", "cluster", "registry"])
def test_who_is_silent_keeps_everything(world: ImageWorld, what: str) -> None:
    with pytest.raises(NightferryError):
        world.prune(between=lambda: silent(world, what))
    assert world.registry.deleted == []


def test_who_falls_silent_in_the_middle_keeps_the_rest_and_the_record_names_it(world: ImageWorld) -> None:
    deleted = world.registry.delete

    def delete(one: ImageRef) -> bool:
        world.cluster.fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "away")
        return deleted(one)

    world.registry.delete = delete
    with pytest.raises(Temporary):
        world.prune()
    (gone,) = world.registry.deleted
    _, stayed = world.told()
    assert stayed.reason == Reason.NOT_PRUNED
    assert {one["image"] for one in stayed.data["images"]} == {str(one) for one in both(DAYS[:3]) - {gone}}


def decided_again(world: ImageWorld) -> None:
    """A person asks for the oldest release's model: its candidate is found, and is under way."""
    decide = world.decide
    again, old = DAYS[7], DAYS[0]
    kept = rollout_world.model
    rollout_world.model = lambda release: kept(old if release == again else release)
    try:
        decide(again, name="production", namespace="production")
    finally:
        rollout_world.model = kept


def brought_back(world: ImageWorld) -> None:
    """A person rolls back to a release whose Deployment is gone."""
    world.roll_back(to=DAYS[2])


@pytest.mark.parametrize(
    ("meanwhile", "spared"),
    [(decided_again, DAYS[0]), (brought_back, DAYS[2])],
    ids=["a decision", "a rollback"],
)
def test_what_is_needed_again_meanwhile_stays(
    world: ImageWorld, meanwhile: Callable[[ImageWorld], None], spared: str
) -> None:
    done = world.prune(between=lambda: meanwhile(world))
    gone = set(world.registry.deleted)
    assert not gone & both([spared])
    assert gone == both([name for name in DAYS[:3] if name != spared])
    assert set(done.stayed) == both([spared])
    named = [one["image"] for entry in world.told() if entry.reason == "not_pruned" for one in entry.data["images"]]
    assert set(named) == {str(one) for one in both([spared])}


def test_killed_at_any_call_and_run_again() -> None:
    world = a_world(3, 1)
    calls = world.calls(lambda: world.prune(keep=1))
    assert calls > 20
    for call in range(1, calls + 1):
        world = a_world(3, 1)
        world.kill_at(call, dead=True)
        with pytest.raises(Killed):
            world.prune(keep=1)
        world.live()
        assert {str(one) for one in world.registry.deleted} <= set(announced(world))
        world.prune(keep=1)
        assert set(world.registry.deleted) == both(DAYS[:1])
        assert sorted(announced(world)) == sorted(str(one) for one in both(DAYS[:1]))


def test_two_who_prune_at_once(world: ImageWorld) -> None:
    done = world.prune(between=world.prune)
    assert set(world.registry.deleted) == both(DAYS[:3])
    assert (len(world.registry.deleted), done.stayed) == (6, {})
    assert sorted(announced(world)) == sorted(str(one) for one in both(DAYS[:3]))


def test_what_is_locked_stays_and_the_others_go(world: ImageWorld) -> None:
    locked = ImageRef.parse(image(DAYS[1]))
    world.registry.locked.add(locked)
    done = world.prune()
    assert set(world.registry.deleted) == both(DAYS[:3]) - {locked}
    assert (list(done.stayed), [one.reason for one in done.refused]) == ([locked], [Reason.REGISTRY_DELETE_DENIED])
    assert [one["image"] for one in world.told()[-1].data["images"]] == [str(locked)]


def test_the_images_of_an_index_go_with_it_but_for_those_that_others_have(world: ImageWorld) -> None:
    index, kept = ImageRef.parse(image(DAYS[0])), ImageRef.parse(image(DAYS[5]))
    alone, shared = (ImageRef(REPOSITORY, "sha256:" + name * 64) for name in "12")
    for part in (alone, shared):
        world.registry.push(part, ())
    world.registry.parts = {index.digest: (alone.digest, shared.digest), kept.digest: (shared.digest,)}
    world.prune()
    assert alone in world.registry.deleted
    assert shared not in world.registry.deleted


def test_what_is_made_anew_and_removed_again_is_told_again(world: ImageWorld) -> None:
    candidate = next(one for one in both([DAYS[0]]) if one.repository == CANDIDATES)
    tag = world.inputs(DAYS[0])
    world.prune()
    world.clock.advance(1)
    decided_again(world)
    facts = {"kind": Kind.STEP, "key": f"{DAYS[7]}/build_image", "release": DAYS[7], "actor": "schedule"}
    words = {"reason": Reason.SUCCEEDED, "sentence": "Built.", "data": {"candidate_image": str(candidate)}}
    append(world.ledger, world.clock, service="digits", **facts, **words)
    world.registry.push(candidate, (tag,))
    world.publish(DAYS[8])  # the other one is under way no more
    world.clock.advance(30 * 24 * 3600)
    world.prune()
    assert world.registry.deleted.count(candidate) == 2
    assert announced(world).count(str(candidate)) == 2
