"""Steps in the order of their needs, as many at a time as their needs allow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter


@dataclass(frozen=True)
class Step:
    """Something to do, once the steps that it needs are done."""

    name: str
    run: Callable[[], None]
    needs: tuple[str, ...] = ()


def run_all(steps: Sequence[Step], stop: threading.Event) -> None:
    """Do every step. After the first failure nothing new begins; `stop` is set so that what runs can give up.

    A need that is not among the steps counts as done: the user brings that part.

    Raises:
        graphlib.CycleError: (a ValueError) steps need each other in a circle.
        Exception: what the first failed step raised, once those already begun have ended.
    """
    named = {step.name: step for step in steps}
    order = TopologicalSorter({step.name: set(step.needs) & named.keys() for step in steps})
    order.prepare()
    running: dict[Future[None], str] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(max_workers=max(1, len(steps)), thread_name_prefix="step") as pool:
        try:
            while order.is_active() and (failure is None or running):
                if failure is None:
                    running |= {pool.submit(named[name].run): name for name in order.get_ready()}
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    order.done(running.pop(future))
                    failure = failure or future.exception()
                if failure is not None:
                    stop.set()
        except BaseException:
            stop.set()
            raise
    if failure is not None:
        raise failure
