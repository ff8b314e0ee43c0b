"""Give the record so long and no longer: users who get wrong answers are not kept waiting for a storage that hangs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from nightferry.entities.reason import Reason
from nightferry.errors import Temporary

Result = TypeVar("Result")


def in_time(work: Callable[[], Result], seconds: float) -> Result:
    """What `work` returns or raises, if it does so in time.

    Work that takes longer goes on behind, as long as the process lives: it has to be such that it may be done again.

    Raises:
        Temporary: (storage_unavailable) it took longer.
    """
    ended: queue.Queue[tuple[Result | None, BaseException | None]] = queue.Queue()

    def run() -> None:
        try:
            ended.put((work(), None))
        except BaseException as fault:
            ended.put((None, fault))

    threading.Thread(target=run, daemon=True, name="record").start()
    try:
        result, fault = ended.get(timeout=seconds)
    except queue.Empty:
        sentence = f"The record did not answer within {seconds:g} seconds."
        raise Temporary(Reason.STORAGE_UNAVAILABLE, sentence) from None
    if fault is not None:
        raise fault
    return result  # type: ignore[return-value]  # there is one where there is no fault
