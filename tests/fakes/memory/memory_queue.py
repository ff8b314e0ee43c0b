"""A queue of events in memory."""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.clients.doors.event_queue import Event
from nightferry.errors import NightferryError


class MemoryQueue:
    """`put` adds a message; what was received and not deleted comes again after `back`. Set `fault` to make every call
    fail with it."""

    def __init__(self) -> None:
        self.messages: list[Event] = []
        self.aside: list[Event] = []
        self.fault: NightferryError | None = None
        self._hidden: list[Event] = []

    def receive(self) -> Sequence[Event]:
        self._check()
        found, self.messages = self.messages, []
        self._hidden += found
        return found

    def delete(self, event: Event) -> None:
        self._check()
        self._hidden = [one for one in self._hidden if one.message != event.message]

    def set_aside(self, event: Event) -> None:
        self.delete(event)
        self.aside.append(event)

    def put(self, container: str, blob: str) -> None:
        self.add(((container, blob),))

    def add(self, blobs: tuple[tuple[str, str], ...] = (), problem: str = "") -> None:
        self.messages.append(Event(f"m{len(self.messages)}", None, blobs, problem))

    def back(self) -> None:
        """As when nobody deleted them in their time."""
        self.messages += [Event(e.message, None, e.blobs, e.problem, e.tries + 1) for e in self._hidden]
        self._hidden = []

    @property
    def left(self) -> int:
        return len(self.messages) + len(self._hidden)

    def _check(self) -> None:
        if self.fault:
            raise self.fault
