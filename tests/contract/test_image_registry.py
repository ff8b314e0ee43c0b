"""What an image registry does: in memory, the adapter over HTTP on loopback, and over the sandbox's registry."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import requests
from nightferry import settings
from nightferry.clients import connect
from nightferry.clients.doors.image_registry import ImageRegistry
from nightferry.clients.registry.oci import OciRegistry
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.service_state import ServiceState
from nightferry.errors import Permanent
from nightferry.steps.image.keep import OLDER_THAN, Sight, judge
from nightferry.steps.image.look import survey
from nightferry.steps.image.on_record import ImagesOnRecord
from nightferry.steps.image.prune import Rule, prune, room
from nightferry.steps.image.pullable import check_images

from tests.fakes import http_registry, oci_push
from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.memory.memory_registry import MemoryRegistry
from tests.fakes.still_clock import StillClock
from tests.fakes.worlds.rollout_world import SPEC


@dataclass
class Door:
    """A registry, the prefix that this test's repositories have, and a way to push an image there."""

    registry: ImageRegistry
    prefix: str
    push: Callable[[str, str, dict[str, str]], ImageRef]
    push_index: Callable[[str, str, dict[str, str]], ImageRef]
    tag_too: Callable[[ImageRef, str], object]
    """Put another tag on an image in its repository."""


def _in_memory() -> Door:
    registry = MemoryRegistry()

    def push(repository: str, tag: str, labels: dict[str, str]) -> ImageRef:
        image = ImageRef(repository, "sha256:" + uuid.uuid4().hex * 2)
        registry.push(image, (tag,), labels, {"sha256:" + uuid.uuid4().hex * 2: 1000})
        return image

    def push_index(repository: str, tag: str, labels: dict[str, str]) -> ImageRef:
        index = push(repository, tag, labels)
        registry.parts[index.digest] = (
            push(repository, "part-1", labels).digest,
            push(repository, "part-2", {}).digest,
        )
        return index

    def tag_too(image: ImageRef, tag: str) -> None:
        registry.push(image, (tag,), registry.images[image])

    return Door(registry, "127.0.0.1:5000/test", push, push_index, tag_too)


def _tag_too(image: ImageRef, tag: str) -> None:
    host, _, path = image.repository.partition("/")
    address = f"http://{host}/v2/{path}/manifests/"
    headers = {"Accept": f"{oci_push.MANIFEST}, {oci_push.INDEX}"}
    found = requests.get(address + image.digest, headers=headers, timeout=10)
    oci_push.push_manifest(image.repository, tag, found.content, found.headers["Content-Type"])


@pytest.fixture(params=["memory", "http", pytest.param("sandbox", marks=pytest.mark.sandbox)])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    if request.param == "memory":
        yield _in_memory()
    elif request.param == "http":
        with http_registry.running() as served:
            served.page = 2
            yield Door(OciRegistry(), f"{served.host}/test", oci_push.push_image, oci_push.push_index, _tag_too)
    else:
        here = settings.load()
        prefix = f"{here.require('REGISTRY')}/test-{uuid.uuid4().hex[:12]}"
        yield Door(connect.registry(here), prefix, oci_push.push_image, oci_push.push_index, _tag_too)


def test_a_tag_names_an_image(door: Door):
    image = door.push(f"{door.prefix}/digits", "inputs-1", {})
    assert door.registry.find(f"{door.prefix}/digits", "inputs-1") == image


def test_no_such_tag_and_no_such_repository_find_nothing(door: Door):
    door.push(f"{door.prefix}/digits", "inputs-1", {})
    assert door.registry.find(f"{door.prefix}/digits", "inputs-2") is None
    assert door.registry.find(f"{door.prefix}/other", "inputs-1") is None


@pytest.mark.parametrize("kind", ["image", "index"])
def test_a_copy_has_the_same_digest_under_all_its_tags(door: Door, kind: str):
    push = door.push if kind == "image" else door.push_index
    image = push(f"{door.prefix}/digits-candidates", "inputs-1", {"a": "b"})
    copied = door.registry.copy(image, f"{door.prefix}/digits", ("digits-2026-11-21.1", "inputs-1"))
    assert copied == ImageRef(f"{door.prefix}/digits", image.digest)
    for tag in ("digits-2026-11-21.1", "inputs-1"):
        assert door.registry.find(f"{door.prefix}/digits", tag) == copied
    assert door.registry.config(copied)["Labels"] == {"a": "b"}


def test_a_copy_made_again_changes_nothing(door: Door):
    image = door.push(f"{door.prefix}/digits-candidates", "inputs-1", {})
    first = door.registry.copy(image, f"{door.prefix}/digits", ("one", "two"))
    assert door.registry.copy(image, f"{door.prefix}/digits", ("one", "two")) == first
    assert door.registry.find(f"{door.prefix}/digits-candidates", "inputs-1") == image


def test_a_copy_interrupted_before_its_last_tag_is_completed(door: Door):
    image = door.push(f"{door.prefix}/digits-candidates", "inputs-1", {})
    door.registry.copy(image, f"{door.prefix}/digits", ("one",))
    copied = door.registry.copy(image, f"{door.prefix}/digits", ("one", "two"))
    assert door.registry.find(f"{door.prefix}/digits", "two") == copied


def test_an_unknown_image_is_not_copied(door: Door):
    door.push(f"{door.prefix}/digits-candidates", "inputs-1", {})
    unknown = ImageRef(f"{door.prefix}/digits-candidates", "sha256:" + "0" * 64)
    with pytest.raises(Permanent) as failure:
        door.registry.copy(unknown, f"{door.prefix}/digits", ("one",))
    assert failure.value.reason == Reason.IMAGE_UNKNOWN
    assert door.registry.find(f"{door.prefix}/digits", "one") is None


def test_labels_are_those_of_the_image(door: Door):
    image = door.push(f"{door.prefix}/digits", "one", {"dev.nightferry.model": "v1"})
    bare = door.push(f"{door.prefix}/digits", "two", {})
    assert door.registry.config(image)["Labels"] == {"dev.nightferry.model": "v1"}
    assert not door.registry.config(bare).get("Labels")


def test_all_tags_are_listed_in_order(door: Door):
    wanted = tuple(f"digits-2026-11-2{number}.1" for number in range(5))
    for tag in reversed(wanted):
        door.push(f"{door.prefix}/digits", tag, {})
    assert door.registry.tags(f"{door.prefix}/digits") == wanted
    assert door.registry.tags(f"{door.prefix}/other") == ()


def test_what_is_stored_of_an_image_is_its_manifest_configuration_and_layers(door: Door):
    image = door.push(f"{door.prefix}/digits", "one", {"a": "b"})
    stored = door.registry.stored(image)
    assert stored is not None
    assert image.digest in stored.blobs
    assert stored.size > 1000
    assert stored.size == sum(stored.blobs.values())
    assert stored.parts == ()


def test_of_an_index_it_is_all_that_its_images_have(door: Door):
    index = door.push_index(f"{door.prefix}/digits", "one", {})
    stored = door.registry.stored(index)
    assert stored is not None
    assert len(stored.parts) == 2
    for part in stored.parts:
        image = door.registry.stored(ImageRef(index.repository, part))
        assert image is not None
        assert image.blobs.items() <= stored.blobs.items()
    assert stored.size > 2000


def test_of_an_image_that_is_not_there_nothing_is_stored(door: Door):
    door.push(f"{door.prefix}/digits", "one", {})
    unknown = ImageRef(f"{door.prefix}/digits", "sha256:" + "0" * 64)
    assert door.registry.stored(unknown) is None
    assert door.registry.missing(unknown) == (unknown.digest,)


@pytest.mark.parametrize("kind", ["image", "index"])
def test_of_an_image_that_is_whole_nothing_is_missing(door: Door, kind: str):
    push = door.push if kind == "image" else door.push_index
    assert door.registry.missing(push(f"{door.prefix}/digits", "one", {})) == ()


def test_a_deleted_image_is_gone_with_all_its_tags_and_others_stay(door: Door):
    image = door.push(f"{door.prefix}/digits", "one", {})
    door.tag_too(image, "two")
    other = door.push(f"{door.prefix}/digits", "three", {})
    assert door.registry.delete(image) is True
    assert door.registry.tags(f"{door.prefix}/digits") == ("three",)
    assert door.registry.find(f"{door.prefix}/digits", "one") is None
    assert door.registry.stored(image) is None
    assert door.registry.missing(other) == ()


def test_what_somebody_else_deleted_is_well(door: Door):
    image = door.push(f"{door.prefix}/digits", "one", {})
    assert door.registry.delete(image) is True
    assert door.registry.delete(image) is False
    assert door.registry.tags(f"{door.prefix}/digits") == ()


def test_deleted_in_one_repository_it_stays_in_the_other(door: Door):
    image = door.push(f"{door.prefix}/digits-candidates", "inputs-1", {})
    copied = door.registry.copy(image, f"{door.prefix}/digits", ("one",))
    door.registry.delete(image)
    assert door.registry.find(f"{door.prefix}/digits", "one") == copied
    assert door.registry.missing(copied) == ()


def test_a_service_is_pruned_and_what_it_needs_can_be_pulled(door: Door):
    spec = ServiceSpec.model_validate(SPEC | {"image": {"repository": f"{door.prefix}/digits"}})
    record, old, new = ImagesOnRecord(), "digits-2026-10-01.1", "digits-2026-10-02.1"
    for release in (old, new):
        candidate = door.push(spec.image.candidates, f"inputs-{release}", {"release": release})
        released = door.registry.copy(candidate, spec.image.repository, (release, f"inputs-{release}"))
        record.asked |= dict.fromkeys((release, f"inputs-{release}"), "2026-10-02T01:00:00Z")
        record.images[release], record.inputs[release] = str(released), f"inputs-{release}"
    sight, clock, rule = Sight(ServiceState(good=(old, new)), record, ()), StillClock(), Rule(1, OLDER_THAN)
    judged = judge(survey(door.registry, spec), sight, keep=1, older_than=OLDER_THAN, now=clock.now())
    assert {one.release for one in judged if not one.why} == {old}
    stored = door.registry.stored(ImageRef.parse(record.images[old]))
    assert stored is not None
    assert room(judged) == stored.size  # of the two repositories' copies, each layer once
    prune(
        judged,
        rule,
        registry=door.registry,
        look=lambda: sight,
        ledger=MemoryLedger(),
        clock=clock,
        service="digits",
        actor="ana",
    )
    assert door.registry.tags(spec.image.repository) == (new, f"inputs-{new}")
    assert door.registry.tags(spec.image.candidates) == (f"inputs-{new}",)
    assert [one.missing for one in check_images(sight, door.registry, 1)] == [()]
    assert [one.missing for one in check_images(sight, door.registry, 2) if one.image == record.images[old]] != [()]
