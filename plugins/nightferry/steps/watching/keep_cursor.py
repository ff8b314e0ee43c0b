"""Read and keep the cursor of a repository."""

from __future__ import annotations

from typing import NamedTuple

from nightferry.clients.doors.cursor_store import CursorStore
from nightferry.entities.watching.cursor import FORM, Cursor


class Kept(NamedTuple):
    """A cursor as it was read."""

    cursor: Cursor
    version: str | None
    """None: there is no note yet."""


def read_cursor(store: CursorStore, name: str) -> Kept:
    """The cursor; an empty one where there is no note, or one that is not understood. Raises as `CursorStore`."""
    note = store.recall(name)
    if note is None:
        return Kept(Cursor(), None)
    try:
        cursor = Cursor.model_validate_json(note.content)
    except ValueError:
        cursor = Cursor()
    return Kept(cursor if cursor.form == FORM else Cursor(), note.version)


def keep_cursor(store: CursorStore, name: str, before: Kept, cursor: Cursor) -> bool:
    """Keep the cursor, unless another look was quicker: then that one's stays, which asked about everything too.

    Whether anything was written. Raises as `CursorStore`.
    """
    if cursor == before.cursor and before.version is not None:
        return False
    return store.replace(name, cursor.model_dump_json().encode(), before.version)
