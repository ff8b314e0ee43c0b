"""Figures from a Prometheus, or what speaks its HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/).

It has to keep the labels `namespace` and `pod` of the pods that it scrapes, as its usual configurations do.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from nightferry.clients.clock import Clock
from nightferry.clients.figures.counts import Counts, Malformed, Sample, counts_of, names
from nightferry.clients.figures.growth import Growth
from nightferry.clients.figures.page import away, fetch
from nightferry.entities.judging.service_figures import Snapshot
from nightferry.entities.release_id import ReleaseId

OF_THE_SCRAPE = ("cluster", "prometheus", "prometheus_replica", "replica", "job", "instance", "endpoint", "container")
"""Labels that say who scraped a pod, and as what. A pod that was scraped twice counts once."""


class PrometheusFigures:
    """Asks for the last value of every series of a release's pods.

    Args:
        address: `http://…`, with a path where its API is below one.
        namespace: the environment's.
        clock: for the snapshots' times.
        ignored: paths that no user asks.
    """

    def __init__(self, address: str, namespace: str, clock: Clock, ignored: Collection[str] = ()) -> None:
        self._address, self._namespace, self._clock = address.rstrip("/"), namespace, clock
        self._ignored = frozenset(ignored)
        self._releases: dict[str, Growth] = {}

    def read(self, release: str) -> Snapshot | None:
        """As `ServiceFigures.read`; a release of which Prometheus knows nothing may not be scraped yet: that is
        Temporary."""
        growth = self._releases.setdefault(release, Growth())
        found: dict[Hashable, Counts] = {}
        try:
            for pod, scrapes in _by_pod(self._samples(release)).items():
                counted = (counts_of(scrapes[key], self._ignored) for key in sorted(scrapes))
                counts = next((one for one in counted if one is not None), None)
                if counts is not None:
                    found[pod] = counts
        except Malformed as fault:
            raise away(self._address, str(fault)) from fault
        if not found:
            raise away(
                self._address,
                f"it has no series of requests of the pods of {release} in {self._namespace}; see that it scrapes "
                "them, with the labels namespace and pod",
            )
        return growth.look(self._clock.now(), found)

    def _samples(self, release: str) -> Iterator[Sample]:
        series = "|".join(sorted(names()))
        # The names of a ReplicaSet's pods end in two words; another release's name may begin with this one's.
        pods = f"{ReleaseId.parse(release).object_name}-[a-z0-9]+-[a-z0-9]+"
        query = f'{{__name__=~"{series}",namespace="{self._namespace}",pod=~"{pods}"}}'
        text = fetch(self._address, f"/api/v1/query?{urlencode({'query': query})}")
        document = _document(text)
        if document.get("status") != "success":
            raise away(self._address, f"it says {str(document.get('error', 'nothing'))[:200]}")
        data = document.get("data")
        if not isinstance(data, dict) or data.get("resultType") != "vector" or not isinstance(data.get("result"), list):
            raise Malformed("its answer is no vector")
        for one in data["result"]:
            yield _sample(one)


def _document(text: str | None) -> Mapping[str, Any]:
    if text is None:
        raise Malformed("there is no /api/v1/query")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise Malformed("its answer is no JSON") from fault
    if not isinstance(document, dict):
        raise Malformed("its answer is no object")
    return document


def _sample(one: Any) -> Sample:
    try:
        labels = {str(name): str(value) for name, value in one["metric"].items()}
        return Sample(labels.pop("__name__"), labels, float(one["value"][1]))
    except (LookupError, TypeError, ValueError, AttributeError) as fault:
        raise Malformed("its answer holds what is no sample") from fault


def _by_pod(samples: Iterator[Sample]) -> dict[str, dict[tuple[str, ...], list[Sample]]]:
    """Pod -> who scraped it -> what was read."""
    found: dict[str, dict[tuple[str, ...], list[Sample]]] = {}
    for one in samples:
        scrape = tuple(one.labels.get(label, "") for label in OF_THE_SCRAPE)
        found.setdefault(one.labels.get("pod", ""), {}).setdefault(scrape, []).append(one)
    return found
