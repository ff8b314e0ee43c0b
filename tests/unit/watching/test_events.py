"""Event Grid's events through a queue: what is in a message, and when it is deleted."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from nightferry.clients.azure.queue import document, written
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary
from nightferry.steps.watching.repositories import repositories
from nightferry.steps.watching.wake import MOST_TRIES, look_at_events

from tests.fakes.memory.memory_queue import MemoryQueue
from tests.fakes.worlds.watching_world import WatchingWorld

AWAY = Temporary(Reason.STORAGE_UNAVAILABLE, "Away.")
ONE = json.loads(document("models", "digits/two/model.json"))
CLOUD = {"type": "Microsoft.Storage.BlobCreated", "subject": ONE["subject"], "specversion": "1.0"}
GONE = ONE | {"eventType": "Microsoft.Storage.BlobDeleted"}


@pytest.mark.parametrize("base64d", [False, True])
@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (ONE, 1),
        ([ONE, ONE], 2),
        ([ONE, GONE], 1),
        (CLOUD, 1),
        (GONE, 0),
        ([], 0),
        (ONE | {"subject": "/subscriptions/x"}, 0),
    ],
)
def test_what_a_message_says(content: Any, wanted: int, base64d: bool) -> None:
    text = json.dumps(content)
    text = base64.b64encode(text.encode()).decode() if base64d else text
    assert list(written(text)) == [("models", "digits/two/model.json")] * wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{",
        "[1]",
        '{"subject": 1}',
        base64.b64encode(b"\xff").decode(),
        "3",
        pytest.param("[" * 40_000, id="deep"),
    ],
)
def test_what_is_no_event(text: str) -> None:
    with pytest.raises(ValueError):
        list(written(text))


@pytest.fixture
def world(tmp_path: Path) -> WatchingWorld:
    world = WatchingWorld(tmp_path, model="release")
    world.settled()
    world.publish("two", created="2026-11-20T12:00:00Z")
    return world


def test_a_message_is_deleted_once_the_look_is_done(world: WatchingWorld) -> None:
    queue = MemoryQueue()
    queue.put("models", "digits/two/model.json")
    looked, faults = look_at_events(repositories(world.services), world.doors, queue)
    assert len(looked[0].started) == 1
    assert (faults, queue.left) == ([], 0)


def test_a_look_that_could_not_be_made_leaves_it_and_in_the_end_it_is_set_aside_and_named(world: WatchingWorld) -> None:
    queue, world.models.fault = MemoryQueue(), AWAY
    queue.put("models", "digits/two/model.json")
    queue.put("models", "others/two/model.json")
    for number in range(1, MOST_TRIES + 1):
        _, faults = look_at_events(repositories(world.services), world.doors, queue)
        assert (faults, queue.left, number) == ([], 1, number)
        queue.back()
    _, faults = look_at_events(repositories(world.services), world.doors, queue)
    assert [fault.reason for fault in faults] == [Reason.EVENT_UNREADABLE]
    assert (queue.left, len(queue.aside)) == (0, 1)


def test_what_cannot_be_read_is_set_aside_and_named(world: WatchingWorld) -> None:
    queue = MemoryQueue()
    queue.add(problem="neither JSON nor base64")
    looked, (fault,) = look_at_events(repositories(world.services), world.doors, queue)
    assert "m0" in fault.sentence
    assert len(queue.aside) == 1
    assert len(looked[0].started) == 1


def test_a_silent_queue_hinders_no_look(world: WatchingWorld) -> None:
    queue = MemoryQueue()
    queue.fault = AWAY
    looked, faults = look_at_events(repositories(world.services), world.doors, queue)
    assert len(looked[0].started) == 1
    assert faults == [AWAY]
