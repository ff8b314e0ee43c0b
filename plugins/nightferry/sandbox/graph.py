"""Steps in the order of their needs, as many at a time as their needs allow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass


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
        ValueError: steps need each other in a circle.
        Exception: what the first failed step raised, once those already begun have ended.
    """
    names = {step.name for step in steps}
    waiting = list(steps)
    done: set[str] = set()
    running: dict[Future[None], Step] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(max_workers=max(1, len(steps)), thread_name_prefix="step") as pool:
        try:
            while failure is None or running:
                ready = [s for s in waiting if failure is None and set(s.needs) & names <= done]
                waiting = [s for s in waiting if s not in ready]
                running |= {pool.submit(step.run): step for step in ready}
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    done.add(running.pop(future).name)
                    failure = failure or future.exception()
                if failure is not None:
                    stop.set()
        except BaseException:
            stop.set()
            raise
    if failure is not None:
        raise failure
    if waiting:
        raise ValueError(f"steps need each other: {', '.join(sorted(step.name for step in waiting))}")
