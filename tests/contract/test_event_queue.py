"""A queue of events, as Azure's Queue service has it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest
from nightferry import settings
from nightferry.clients.azure.queue import POISON, AzureEventQueue
from nightferry.clients.connect import queue_service
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

pytestmark = pytest.mark.sandbox


@pytest.fixture
def connection() -> str:
    return str(settings.load().require("STORAGE_CONNECTION_FILE"))


@pytest.fixture
def queue(connection: str) -> Iterator[AzureEventQueue]:
    with open(connection, encoding="utf-8") as file:  # noqa: PTH123
        service = queue_service(file.read().strip(), "", None)
    name = f"test-{uuid.uuid4().hex[:12]}"
    service.create_queue(name)
    yield AzureEventQueue(service, name)
    for one in service.list_queues(name_starts_with=name):
        service.delete_queue(one.name)


def test_what_was_put_is_received_once_and_gone_when_it_is_deleted(queue: AzureEventQueue) -> None:
    queue.put("models", "digits/two/model.json")
    (event,) = queue.receive()
    assert event.blobs == (("models", "digits/two/model.json"),)
    assert (event.problem, event.tries) == ("", 1)
    assert queue.receive() == []
    queue.delete(event)
    queue.delete(event)


def test_what_cannot_be_read_is_set_aside(queue: AzureEventQueue) -> None:
    queue._queue.send_message("no event")
    (event,) = queue.receive()
    assert event.problem
    queue.set_aside(event)
    aside = AzureEventQueue(queue._service, queue._name + POISON)
    assert [one.problem for one in aside.receive()] == [event.problem]


def test_a_queue_that_is_not_there(queue: AzureEventQueue) -> None:
    with pytest.raises(Permanent) as failure:
        AzureEventQueue(queue._service, "test-none").receive()
    assert failure.value.reason == Reason.SETTING_INVALID


def test_credentials_that_are_refused(connection: str) -> None:
    with open(connection, encoding="utf-8") as file:  # noqa: PTH123
        text = re.sub(r"AccountKey=[^;]+", "AccountKey=" + "A" * 86 + "==", file.read().strip())
    with pytest.raises(Permanent) as failure:
        AzureEventQueue(queue_service(text, "", None), "events").receive()
    assert failure.value.reason == Reason.STORAGE_DENIED


def test_an_account_that_does_not_answer() -> None:
    text = f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey={'A' * 86}==;QueueEndpoint=http://127.0.0.1:9/a;"
    with pytest.raises(Temporary):
        AzureEventQueue(queue_service(text, "", None), "events").receive()
