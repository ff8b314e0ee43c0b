"""The minute's look: at every repository, and only then is the queue of events emptied of what it was about."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from nightferry.clients.doors.event_queue import Event, EventQueue
from nightferry.entities.reason import Reason
from nightferry.entities.watching.find import MODEL
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.watching.doors import Doors
from nightferry.steps.watching.look_around import look_around
from nightferry.steps.watching.look_at import Looked
from nightferry.steps.watching.repositories import Repository

MOST_TRIES = 5
"""A message that was handed out more often, and that nobody could act on, is set aside."""
MOST_BATCHES = 10
log = logging.getLogger(__name__)


def look_at_events(
    wanted: Sequence[Repository], doors: Doors, queue: EventQueue | None
) -> tuple[list[Looked], list[NightferryError]]:
    """Look at all repositories. A message of the queue is deleted once the look that came after it is over; a look that
    could not be made leaves it for the next minute. What cannot be read is set aside, and named.

    Returns what was looked at, and what became of the queue where that was wrong.
    """
    events, faults = _received(queue) if queue else ([], [])
    looked = look_around(wanted, doors)
    silent = {one.repository.identity for one in looked if one.faults and one.repository.event == MODEL}
    for event in events:
        try:
            faults += _done(event, silent, queue) if queue else []
        except NightferryError as fault:
            faults.append(fault)
    return looked, faults


def _received(queue: EventQueue) -> tuple[list[Event], list[NightferryError]]:
    events: list[Event] = []
    try:
        for _ in range(MOST_BATCHES):
            some = queue.receive()
            events += some
            if not some:
                break
    except NightferryError as fault:  # the look does not depend on it
        return events, [fault]
    return events, []


def _done(event: Event, silent: set[str], queue: EventQueue) -> list[NightferryError]:
    if event.problem:
        queue.set_aside(event)
        sentence = (
            f"The message {event.message} of the queue of events cannot be read: {event.problem}; it is set aside."
        )
        return [Permanent(Reason.EVENT_UNREADABLE, sentence)]
    unseen = [one for one in silent if any(_is_of(one, *blob) for blob in event.blobs)]
    if not unseen:
        queue.delete(event)
    elif event.tries > MOST_TRIES:
        queue.set_aside(event)
        sentence = (
            f"The message {event.message} of the queue of events is set aside after {event.tries} tries: {unseen[0]} "
        )
        return [Permanent(Reason.EVENT_UNREADABLE, sentence + "could not be looked at.")]
    return []


def _is_of(identity: str, container: str, blob: str) -> bool:
    return f"azure-blob://{container}/{blob}".startswith(f"{identity}/")
