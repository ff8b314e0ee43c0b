"""Figures of an Envoy in front of the releases, for apps that count nothing themselves.

It is asked for `/stats`, as Contour has it tell on its port of metrics: the counters and the histogram of the cluster
that Contour makes of a release's Service, called `<namespace>_<Service>_<port>`
(https://www.envoyproxy.io/docs/envoy/latest/operations/admin#get--stats). The detailed histogram has bins of two
digits, finer than the bounds that Prometheus would get.
"""

from __future__ import annotations

import json
import math
import re
import socket
from collections.abc import Callable, Hashable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from nightferry.clients.clock import Clock
from nightferry.clients.figures.counts import Counts, Malformed, count
from nightferry.clients.figures.growth import Growth
from nightferry.clients.figures.page import away, fetch
from nightferry.entities.judging.service_figures import Snapshot
from nightferry.entities.release_id import ReleaseId

PORT = 80
"""Of a release's Service."""
TIMES, COMPLETED, FAILED = "upstream_rq_time", "upstream_rq_completed", "upstream_rq_5xx"
STEPS = (10, 11, 12, 13, 15, 17, 19, 21, 24, 27, 30, 34, 38, 43, 48, 54, 60, 67, 75, 84, 92)
"""Bounds of one decade, in its tenths: each at the edge of a bin, and at most 1.16 times the one before."""
BOUNDS = (*(step * 10.0 ** (decade - 1) for decade in range(6) for step in STEPS), math.inf)
"""Milliseconds, 1 to 920,000."""
Hosts = Callable[[str, int], list[str]]


class GatewayFigures:
    """Asks every Envoy that an address leads to: all of those that a name stands for.

    Args:
        address: `http://…` of the port of metrics.
        namespace: the environment's.
        clock: for the snapshots' times.
        hosts: gives the addresses of a name, for a port.
    """

    def __init__(self, address: str, namespace: str, clock: Clock, hosts: Hosts | None = None) -> None:
        self._address, self._namespace, self._clock = address.rstrip("/"), namespace, clock
        self._hosts = hosts or addresses_of
        self._releases: dict[str, Growth] = {}

    def read(self, release: str) -> Snapshot | None:
        """As `ServiceFigures.read`; None: no gateway has a way to the release."""
        growth = self._releases.setdefault(release, Growth())
        cluster = f"cluster.{self._namespace}_{ReleaseId.parse(release).object_name}_{PORT}."
        # Without a release's clusters nothing matches. The filter is for Envoy's RE2.
        wanted = f"^{re.escape(cluster)}({TIMES}|{COMPLETED}|{FAILED})$"
        words = {"format": "json", "histogram_buckets": "detailed", "filter": wanted}
        found: dict[Hashable, Counts] = {}
        for address in self._addresses():
            text = fetch(address, f"/stats?{urlencode(words)}")
            try:
                counts = read_stats(text, cluster)
            except Malformed as fault:
                raise away(address, str(fault)) from fault
            if counts is not None:
                found[address] = counts
            elif growth.knows(address):
                raise away(address, f"it counted {release} before, and does not know it now")
        if not found and not growth.seen:
            return None
        return growth.look(self._clock.now(), found)

    def _addresses(self) -> list[str]:
        """Each address that the name stands for: a headless Service names every Envoy."""
        place = urlsplit(self._address)
        port = place.port or 80
        try:
            found = self._hosts(place.hostname or "", port)
        except (OSError, UnicodeError) as error:
            raise away(self._address, "the name is not known") from error
        return [f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}" for host in sorted(set(found))]


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a name. Raises OSError, UnicodeError: there is none."""
    return [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def read_stats(text: str | None, cluster: str) -> Counts | None:
    """What an Envoy counted of a cluster; None: it knows none of that name.

    Raises:
        Malformed: the answer is none of Envoy's.
    """
    if text is None:
        raise Malformed("there is no /stats")
    try:
        stats = json.loads(text)["stats"]
        plain = {one["name"]: one["value"] for one in stats if "name" in one}
        details = [each for one in stats for each in one.get("histograms", {}).get("details", ())]
        times = [one for one in details if one["name"] == cluster + TIMES]
        if cluster + COMPLETED not in plain:
            return None
        return Counts(
            requests=count(float(plain[cluster + COMPLETED])),
            errors=count(float(plain.get(cluster + FAILED, 0))),
            buckets=_buckets(times[0]) if times else {},
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as fault:
        raise Malformed("its answer is none of Envoy's") from fault


def _buckets(histogram: Mapping[str, Any]) -> dict[float, int]:
    """Envoy's bins as counts up to fixed bounds, in seconds."""
    bins = [
        (float(one["lower_bound"]) + float(one["width"]), count(float(one["count"]))) for one in histogram["totals"]
    ]
    return {bound / 1000: sum(n for upper, n in bins if upper <= bound * (1 + 1e-9)) for bound in BOUNDS}
