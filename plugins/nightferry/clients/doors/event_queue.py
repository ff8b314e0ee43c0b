"""The door to a queue that a storage account's events come through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Event:
    """A message of the queue."""

    message: str
    """Names it, for people."""
    receipt: Any
    """What the queue wants back when the message is deleted."""
    blobs: tuple[tuple[str, str], ...]
    """Container and name of each blob that was written; none where the message is about something else."""
    problem: str = ""
    """Why it could not be read."""
    tries: int = 1
    """How often it was handed out."""


class EventQueue(Protocol):
    """At least once and in no order: a message that was not deleted comes again after a while."""

    def receive(self) -> Sequence[Event]:
        """The next messages, at most 32; others do not see them for two minutes.

        Raises:
            Temporary: (storage_unavailable)   Permanent: (storage_denied, setting_invalid: there is no such queue)
        """
        ...

    def delete(self, event: Event) -> None:
        """Be done with a message; one that is gone is no fault. Raises as `receive`."""
        ...

    def set_aside(self, event: Event) -> None:
        """Move a message to the queue `<name>-poison`, where somebody may look at it. Raises as `receive`."""
        ...

    def put(self, container: str, blob: str) -> None:
        """Say that a blob was written, as Event Grid does. Raises as `receive`."""
        ...
