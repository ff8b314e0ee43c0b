"""Figures from the pages of a release's pods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor

from nightferry.clients.clock import Clock
from nightferry.clients.figures.counts import Counts, Malformed, counts_of
from nightferry.clients.figures.growth import Growth
from nightferry.clients.figures.page import away, fetch, read_page
from nightferry.entities.judging.service_figures import Snapshot
from nightferry.entities.pod_state import PodState
from nightferry.errors import Temporary

MOST_PODS = 100
"""Of a release that are asked, by their names: what so many say is enough."""
AT_ONCE = 10


class PodFigures:
    """Asks every pod that is ready; one that is not is asked too, since it may have been, but need not answer.

    Args:
        pods: a release's pods.
        port: where a pod has its page.
        path: the page's.
        clock: for the snapshots' times.
        ignored: paths that no user asks.
    """

    def __init__(
        self,
        pods: Callable[[str], Sequence[PodState]],
        port: Callable[[PodState], int],
        path: str,
        clock: Clock,
        ignored: Collection[str] = (),
    ) -> None:
        self._pods, self._port, self._path, self._clock = pods, port, path, clock
        self._ignored = frozenset(ignored)
        self._releases: dict[str, Growth] = {}

    def read(self, release: str) -> Snapshot | None:
        """As `ServiceFigures.read`."""
        growth = self._releases.setdefault(release, Growth())
        running = [pod for pod in self._pods(release) if pod.ip and pod.running and not pod.over]
        asked = sorted(running, key=lambda pod: (not pod.ready, pod.name))[:MOST_PODS]
        if not any(pod.ready and not pod.deleting for pod in asked):
            raise away(release, "it has no pod that is ready")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(self._ask, asked))
        found: dict[Hashable, Counts] = {}
        for pod, counts in zip(asked, answers, strict=True):
            if isinstance(counts, Temporary):
                if pod.ready and not pod.deleting:
                    raise counts
            elif counts is not None:
                found[pod.name, pod.restarts] = counts
            elif growth.knows((pod.name, pod.restarts)) and pod.ready and not pod.deleting:
                raise away(pod.name, "its metrics were there before, and are not there now")
        if not found and not growth.seen:
            return None
        return growth.look(self._clock.now(), found)

    def _ask(self, pod: PodState) -> Counts | Temporary | None:
        address = f"http://{pod.host}:{self._port(pod)}"
        try:
            text = fetch(address, self._path)
            if text is None:
                return None
            page = read_page(text)
            return counts_of(page.samples, self._ignored, page.announced)
        except Malformed as fault:
            return away(address + self._path, str(fault))
        except Temporary as fault:
            return fault
