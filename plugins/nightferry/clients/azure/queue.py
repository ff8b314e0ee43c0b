"""Azure Event Grid's events through a Storage Queue: BlobCreated documents, one or several a message, base64 or not."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from nightferry.clients.azure.errors import error_code, quiet
from nightferry.clients.doors.event_queue import Event
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

if TYPE_CHECKING:
    from azure.storage.queue import QueueMessage, QueueServiceClient

AT_ONCE = 32
"""As many as the service gives at once."""
HIDDEN_SECONDS = 120
CREATED = "Microsoft.Storage.BlobCreated"
_SUBJECT = "/blobServices/default/containers/"
_GONE = {"MessageNotFound", "PopReceiptMismatch"}
POISON = "-poison"


class AzureEventQueue:
    """An EventQueue."""

    def __init__(self, service: QueueServiceClient, name: str) -> None:
        quiet()
        self._service = service
        self._name = name
        self._queue = service.get_queue_client(name)

    def receive(self) -> Sequence[Event]:
        """The next messages."""
        with self._errors():
            found = self._queue.receive_messages(max_messages=AT_ONCE, visibility_timeout=HIDDEN_SECONDS)
            return [_event(message) for message in list(found)]

    def delete(self, event: Event) -> None:
        """Be done with it."""
        from azure.core.exceptions import HttpResponseError

        with self._errors():
            try:
                self._queue.delete_message(event.receipt)
            except HttpResponseError as fault:
                if error_code(fault) not in _GONE:
                    raise

    def set_aside(self, event: Event) -> None:
        """Move it; killed in between, it is in both queues."""
        from azure.core.exceptions import ResourceExistsError

        poison = self._service.get_queue_client(self._name + POISON)
        with self._errors():
            with suppress(ResourceExistsError):
                poison.create_queue()
            poison.send_message(event.receipt.content)
        self.delete(event)

    def put(self, container: str, blob: str) -> None:
        """Say what Event Grid says."""
        with self._errors():
            self._queue.send_message(base64.b64encode(document(container, blob)).decode())

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from azure.core.exceptions import AzureError, ClientAuthenticationError

        try:
            yield
        except AzureError as fault:
            status, code = getattr(fault, "status_code", None), error_code(fault)
            where = f"the queue {self._name} of {self._service.primary_hostname}"
            if code in ("QueueNotFound", "ResourceNotFound"):
                sentence = (
                    f"There is no such queue as NIGHTFERRY_EVENTS_QUEUE names: {where}; make it, or leave it out."
                )
                raise Permanent(Reason.SETTING_INVALID, sentence) from fault
            if isinstance(fault, ClientAuthenticationError) or status in (401, 403):
                sentence = f"The storage account refuses these credentials for {where}: check that they may process it."
                raise Permanent(Reason.STORAGE_DENIED, sentence) from fault
            what = code or status or type(fault).__name__
            sentence = f"{where[:1].upper()}{where[1:]} does not answer as it should ({what})."
            raise Temporary(Reason.STORAGE_UNAVAILABLE, sentence) from fault


def document(container: str, blob: str) -> bytes:
    """The event of a blob that was written, in Event Grid's own schema."""
    event = {
        "topic": "",
        "subject": f"{_SUBJECT}{container}/blobs/{blob}",
        "eventType": CREATED,
        "id": str(uuid.uuid4()),
        "eventTime": dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z"),
        "data": {"api": "PutBlob", "blobType": "BlockBlob"},
        "dataVersion": "",
        "metadataVersion": "1",
    }
    return json.dumps(event).encode()


def _event(message: QueueMessage) -> Event:
    text, tries = str(message.content), int(message.dequeue_count or 1)
    try:
        blobs = tuple(written(text))
    except ValueError as fault:
        return Event(str(message.id), message, (), f"it is no event of Event Grid: {fault}", tries)
    return Event(str(message.id), message, blobs, "", tries)


def written(text: str) -> Iterator[tuple[str, str]]:
    """Container and name of each blob that a message says was written; nothing where it is about something else.

    Event Grid's own schema has `eventType`, that of CloudEvents `type`; both have `subject`.

    Raises:
        ValueError: it is no event.
    """
    found = _parsed(text)
    for event in found if isinstance(found, list) else [found]:
        if not isinstance(event, dict) or not isinstance(event.get("subject"), str):
            raise ValueError("an event has a subject")
        if event.get("eventType", event.get("type")) != CREATED or not event["subject"].startswith(_SUBJECT):
            continue
        container, found_blobs, blob = event["subject"].removeprefix(_SUBJECT).partition("/blobs/")
        if found_blobs:
            yield unquote(container), blob


def _parsed(text: str) -> Any:
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        try:
            stripped = base64.b64decode(stripped, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as fault:
            raise ValueError("neither JSON nor base64") from fault
    try:
        return json.loads(stripped)
    except RecursionError as fault:
        raise ValueError("too deeply nested") from fault
