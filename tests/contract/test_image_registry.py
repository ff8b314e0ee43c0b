"""What an image registry does: in memory, the adapter over HTTP on loopback, and over the sandbox's registry."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from nightferry import settings
from nightferry.clients import connect
from nightferry.clients.image_registry import ImageRegistry
from nightferry.clients.registry.oci import OciRegistry
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

from tests.fakes import http_registry, oci_push
from tests.fakes.memory_registry import MemoryRegistry


@dataclass
class Door:
    """A registry, the prefix that this test's repositories have, and a way to push an image there."""

    registry: ImageRegistry
    prefix: str
    push: Callable[[str, str, dict[str, str]], ImageRef]
    push_index: Callable[[str, str, dict[str, str]], ImageRef]


def _in_memory() -> Door:
    registry = MemoryRegistry()

    def push(repository: str, tag: str, labels: dict[str, str]) -> ImageRef:
        image = ImageRef(repository, "sha256:" + uuid.uuid4().hex * 2)
        registry.push(image, (tag,), labels)
        return image

    return Door(registry, "127.0.0.1:5000/test", push, push)


@pytest.fixture(params=["memory", "http", pytest.param("sandbox", marks=pytest.mark.sandbox)])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    if request.param == "memory":
        yield _in_memory()
    elif request.param == "http":
        with http_registry.running() as served:
            yield Door(OciRegistry(), f"{served.host}/test", oci_push.push_image, oci_push.push_index)
    else:
        here = settings.load()
        prefix = f"{here.require('REGISTRY')}/test-{uuid.uuid4().hex[:12]}"
        yield Door(connect.registry(here), prefix, oci_push.push_image, oci_push.push_index)


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
