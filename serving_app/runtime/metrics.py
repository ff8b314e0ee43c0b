"""What the service counts: numbers in memory that the workers share with the process that forked them.

Each worker writes its own row, so that no count takes more than an addition; whoever is asked adds up the rows. A
worker that was killed leaves its counts behind for the one that takes its place.
"""

from __future__ import annotations

import bisect
import mmap
import threading
import time
from collections.abc import Iterator

from serving_app.runtime import usage as processes

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
DECADE = (100, 112, 125, 140, 160, 180, 200, 224, 250, 280, 315, 355, 400, 450, 500, 560, 630, 710, 800, 900)
PREDICTION_SECONDS = (
    *(step * tens / 100_000 for tens in (1, 10, 100, 1000) for step in DECADE),
    *(step / 10 for step in DECADE[:11]),
)
"""1 ms to 31.5 s, twenty bounds a decade (Renard's R20): of two releases it is seen that one is slower by half."""
STARTED = "process_start_time_seconds"
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ROUTES = (
    *("/", "/score", "/version", "/metrics", "/recorded", "/livez", "/readyz", "/openapi.json", "/try"),
    *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models", "/v2/models/infer", "other"),
)
PREDICTIONS = frozenset(("/score", "/v2/models/infer"))
STATUSES: tuple[str, ...] = ("200", "204", "304", "400", "404", "405", "408", "411", "413", "414", "415", "417", "422")
STATUSES += ("431", "500", "503", "other")
REFUSED = ("queue", "late", "memory", "connections", "left", "unsent")
"""Why a request was not computed: the queue was too long, it had waited too long, too many bytes or connections were
held, its client had left; or why its answer was cut: too many bytes were not taken by their clients."""
GAUGES = {
    "serving_requests_in_flight": "Requests being answered",
    "serving_queue_requests": "Requests that wait for a thread",
    "serving_connections": "Open connections",
    "serving_room": "Requests that can be worked at at once",
}
EVENTS = {
    "serving_model_cut_total": "Inferences that took too long and were cut",
    "serving_worker_restarts_total": "Workers that ended and were replaced",
}


def route_of(path: str) -> str:
    """Return a path's metric label: one of a fixed set, whatever strangers ask for."""
    if path in _ROUTE_INDEX:
        return path
    if path.startswith("/v2/models/"):
        return "/v2/models/infer" if path.endswith("/infer") else "/v2/models"
    return "other"


_ROUTE_INDEX = {route: i for i, route in enumerate(ROUTES)}
_STATUS_INDEX = {status: i for i, status in enumerate(STATUSES)}
_REFUSED_INDEX = {reason: i for i, reason in enumerate(REFUSED)}

# A row's cells: counters by route and status, histograms by route, four more histograms, gauges, events, seconds.
_REQUESTS = 0
_LATENCY = _REQUESTS + len(ROUTES) * len(STATUSES)
_LATENCY_CELLS = len(SECONDS) + 2  # one bucket per bound, one above, the sum
_MODEL = _LATENCY + len(ROUTES) * _LATENCY_CELLS
_WAIT = _MODEL + _LATENCY_CELLS
_PREDICTION = _WAIT + _LATENCY_CELLS
_ROWS = _PREDICTION + len(PREDICTION_SECONDS) + 2
_REFUSALS = _ROWS + len(ROWS) + 2
_GAUGES = _REFUSALS + len(REFUSED)
_EVENTS = _GAUGES + len(GAUGES)
_BUSY = _EVENTS + len(EVENTS)
_PID = _BUSY + 1
_BEAT = _PID + 1
_CPU = _BEAT + 1
_CELLS = _CPU + 1


class Metrics:
    """The rows of all workers. An app of its own (in a test, under another server) has one row and uses it."""

    def __init__(self, workers: int = 1) -> None:
        self._memory = mmap.mmap(-1, (workers * _CELLS + 1) * 8)
        cells = memoryview(self._memory).cast("d")
        self._told = cells[workers * _CELLS :]
        """CPU time as last told: between a worker's end and its count it is nowhere, and a counter must not fall."""
        self._started = time.time()
        self.rows = [Row(cells[i * _CELLS : (i + 1) * _CELLS]) for i in range(workers)]

    @property
    def in_flight(self) -> int:
        """Requests that all workers are answering."""
        return int(sum(row.cells[_GAUGES] for row in self.rows))

    def text(self) -> bytes:
        """Return all rows, added up, in Prometheus' text format."""
        total = [sum(cells) for cells in zip(*(row.cells for row in self.rows), strict=True)]
        pids = [int(row.cells[_PID]) for row in self.rows if row.cells[_PID]]
        used = self._told[0] = max(self._told[0], total[_CPU] + processes.cpu_seconds(pids))
        lines = [*_requests(total), *_histograms(total), *_numbers(total), *processes.lines(pids, used)]
        # Whoever reads counts that are smaller than before sees by it that they began anew.
        lines += [*_about(STARTED, "gauge", "When the service began, Unix time"), f"{STARTED} {self._started}"]
        return ("\n".join(lines) + "\n").encode()


class Row:
    """One worker's numbers."""

    def __init__(self, cells: memoryview[float]) -> None:
        self.cells = cells
        self._lock = threading.Lock()

    def request(self, route: str, status: str, seconds: float) -> None:
        """Count one answer."""
        at = _ROUTE_INDEX[route]
        with self._lock:
            self.cells[_REQUESTS + at * len(STATUSES) + _STATUS_INDEX.get(status, len(STATUSES) - 1)] += 1
            self._observe(_LATENCY + at * _LATENCY_CELLS, SECONDS, seconds)
            if status == "200" and route in PREDICTIONS:
                self._observe(_PREDICTION, PREDICTION_SECONDS, seconds)

    def inference(self, rows: int, seconds: float) -> None:
        """Count one inference."""
        with self._lock:
            self._observe(_ROWS, ROWS, rows)
            self._observe(_MODEL, SECONDS, seconds)

    def waited(self, seconds: float) -> None:
        """Count the time that a request stood in the queue."""
        with self._lock:
            self._observe(_WAIT, SECONDS, seconds)

    def worked(self, seconds: float) -> None:
        """Count the time that somebody worked at predictions."""
        with self._lock:
            self.cells[_BUSY] += seconds

    def refused(self, reason: str) -> None:
        """Count a 503, by why (REFUSED)."""
        with self._lock:
            self.cells[_REFUSALS + _REFUSED_INDEX[reason]] += 1

    def event(self, name: str) -> None:
        """Count one of EVENTS."""
        with self._lock:
            self.cells[_EVENTS + list(EVENTS).index(name)] += 1

    def in_flight(self, change: int) -> None:
        """Requests began (1) or were answered (-1)."""
        with self._lock:
            self.cells[_GAUGES] += change

    def queue(self, waiting: int) -> None:
        """Say how many wait."""
        self.cells[_GAUGES + 1] = waiting

    def connected(self, connections: int) -> None:
        """Say how many are connected."""
        self.cells[_GAUGES + 2] = connections

    def room(self, places: int) -> None:
        """Say how many requests can be worked at at once."""
        self.cells[_GAUGES + 3] = places

    @property
    def connections(self) -> int:
        """How many are connected."""
        return int(self.cells[_GAUGES + 2])

    def began(self, pid: int, now: float) -> None:
        """A worker takes this row: the counts go on, the gauges begin anew."""
        for i in range(len(GAUGES)):
            self.cells[_GAUGES + i] = 0
        self.cells[_PID] = pid
        self.cells[_BEAT] = now

    def ended(self, cpu_seconds: float) -> None:
        """The worker of this row is no more; it has used so much CPU time."""
        self.cells[_CPU] += cpu_seconds
        self.began(0, 0.0)

    @property
    def alive(self) -> bool:
        """Whether a worker has this row."""
        return self.cells[_PID] != 0

    def beat(self, now: float) -> None:
        """The worker's loop turns (monotonic seconds)."""
        self.cells[_BEAT] = now

    @property
    def beaten(self) -> float:
        """When the worker's loop last turned."""
        return self.cells[_BEAT]

    def _observe(self, at: int, bounds: tuple[float, ...], value: float) -> None:
        self.cells[at + bisect.bisect_left(bounds, value)] += 1
        self.cells[at + len(bounds) + 1] += value


def _requests(total: list[float]) -> Iterator[str]:
    yield from _about("serving_requests_total", "counter", "Requests answered")
    for r, route in enumerate(ROUTES):
        for s, status in enumerate(STATUSES):
            count = total[_REQUESTS + r * len(STATUSES) + s]
            if count:
                yield f'serving_requests_total{{route="{route}",status="{status}"}} {count}'
    yield from _about("serving_refused_total", "counter", "Requests not computed, or answers cut, by why")
    for i, reason in enumerate(REFUSED):
        yield f'serving_refused_total{{reason="{reason}"}} {total[_REFUSALS + i]}'


def _histograms(total: list[float]) -> Iterator[str]:
    yield from _about("serving_request_seconds", "histogram", "Time in the service")
    for r, route in enumerate(ROUTES):
        at = _LATENCY + r * _LATENCY_CELLS
        if any(total[at : at + len(SECONDS) + 1]):
            yield from _histogram("serving_request_seconds", f'route="{route}",', total, at, SECONDS)
    for name, about, at, bounds in (
        ("serving_model_seconds", "Time in the model", _MODEL, SECONDS),
        ("serving_queue_seconds", "Time in the queue", _WAIT, SECONDS),
        (
            "serving_prediction_seconds",
            "Time in the service, of predictions that were answered",
            _PREDICTION,
            PREDICTION_SECONDS,
        ),
        ("serving_batch_rows", "Rows of one inference", _ROWS, ROWS),
    ):
        yield from _about(name, "histogram", about)
        yield from _histogram(name, "", total, at, bounds)


def _histogram(name: str, labels: str, total: list[float], at: int, bounds: tuple[float, ...]) -> Iterator[str]:
    count = 0.0
    for i, bound in enumerate((*(str(float(bound)) for bound in bounds), "+Inf")):
        count += total[at + i]
        yield f'{name}_bucket{{{labels}le="{bound}"}} {count}'
    plain = f"{{{labels[:-1]}}}" if labels else ""
    yield f"{name}_count{plain} {count}"
    yield f"{name}_sum{plain} {total[at + len(bounds) + 1]}"


def _numbers(total: list[float]) -> Iterator[str]:
    for i, (name, about) in enumerate(GAUGES.items()):
        yield from _about(name, "gauge", about)
        yield f"{name} {total[_GAUGES + i]}"
    for i, (name, about) in enumerate(EVENTS.items()):
        yield from _about(name, "counter", about)
        yield f"{name} {total[_EVENTS + i]}"
    yield from _about("serving_busy_seconds_total", "counter", "Time spent on predictions, of all who work at them")
    yield f"serving_busy_seconds_total {total[_BUSY]}"


def _about(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
