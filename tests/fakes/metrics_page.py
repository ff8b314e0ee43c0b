"""Pages over real HTTP on addresses of loopback: a pod's metrics, a Prometheus that has scraped them, an Envoy's."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from nightferry.entities.pod_state import PodState
from prometheus_client.parser import text_string_to_metric_families

from serving_app.runtime.metrics import Metrics

Say = Callable[[str], tuple[int, str]]
SELECTOR = re.compile(r'(\w+)(=~|=)"([^"]*)"')


class Page(ThreadingHTTPServer):
    """Answers each GET with what `say` gives for its path and query; `drips`: a byte a moment, without an end."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, say: Say, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), _Handler)
        self.say, self.drips = say, False
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://{self.server_address[0]}:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Page

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.drips:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(600):
                self.wfile.write(b"a")
                self.wfile.flush()
                time.sleep(0.05)
            return
        status, text = self.server.say(self.path)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def page(say: Say | str, host: str = "127.0.0.1", port: int = 0) -> Iterator[Page]:
    """Serve for a while."""
    given: Say = (lambda _: (200, say)) if isinstance(say, str) else say
    server = Page(given, host, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Stock:
    """The stock service's numbers, of two workers. `silent`: it does not say when it began, as that of before."""

    def __init__(self, silent: bool = False) -> None:
        self.metrics = Metrics(2)
        self._silent = silent
        for row in self.metrics.rows:
            row.room(1)

    def serve(self, count: int, seconds: float = 0.02, status: str = "200", route: str = "/score") -> None:
        """Count so many answers, by turns of the workers."""
        for number in range(count):
            row = self.metrics.rows[number % 2]
            row.request(route, status, seconds)
            row.worked(seconds)

    def text(self) -> str:
        lines = self.metrics.text().decode().splitlines(keepends=True)
        return "".join(line for line in lines if not (self._silent and line.startswith("process_start")))


def pod(name: str, ip: str, *, ready: bool = True, restarts: int = 0, deleting: bool = False) -> PodState:
    """A pod that runs."""
    status = {"name": "service", "restartCount": restarts, "state": {"running": {}}, "ready": ready}
    return PodState.read(
        {
            "metadata": {"name": name, **({"deletionTimestamp": "2026-11-21T01:00:00Z"} if deleting else {})},
            "spec": {"containers": [{"name": "service", "image": "digits@sha256:0"}]},
            "status": {
                "phase": "Running",
                "podIP": ip,
                "containerStatuses": [status],
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            },
        }
    )


class HttpPrometheus:
    """What a Prometheus answers at `/api/v1/query` that has scraped some pods: instant vectors of series selectors."""

    def __init__(self) -> None:
        self.scraped: list[tuple[dict[str, str], Callable[[], str]]] = []
        """The labels that a scrape adds, and the page."""

    def scrape(self, text: Callable[[], str], **labels: str) -> None:
        self.scraped.append((labels, text))

    def say(self, path: str) -> tuple[int, str]:
        place = urlsplit(path)
        if place.path != "/api/v1/query":
            return 404, "404 page not found"
        [query] = parse_qs(place.query)["query"]
        result = [one for one in self._series() if _matches(query, one["metric"])]
        return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})

    def _series(self) -> Iterator[dict[str, Any]]:
        for labels, text in self.scraped:
            for family in text_string_to_metric_families(text()):
                for one in family.samples:
                    metric = {"__name__": one.name, **one.labels, **labels}
                    yield {"metric": metric, "value": [1764378000.123, str(one.value)]}


def _matches(query: str, metric: dict[str, str]) -> bool:
    assert query.startswith("{")
    assert query.endswith("}")
    conditions = SELECTOR.findall(query)
    assert "{" + ",".join(f'{name}{how}"{value}"' for name, how, value in conditions) + "}" == query
    return all(
        re.fullmatch(value, metric.get(name, "")) if how == "=~" else metric.get(name, "") == value
        for name, how, value in conditions
    )


def envoy_stats(cluster: str, completed: int, failed: int = 0, bins: dict[int, int] | None = None) -> str:
    """What an Envoy tells of a cluster; bins: milliseconds -> requests that took so long and less than one more."""
    totals = [{"lower_bound": low, "width": 1, "count": count} for low, count in (bins or {}).items()]
    details = [{"name": f"cluster.{cluster}.upstream_rq_time", "totals": totals, "intervals": [], "percentiles": []}]
    return json.dumps(
        {
            "stats": [
                {"name": f"cluster.{cluster}.upstream_rq_5xx", "value": failed},
                {"name": f"cluster.{cluster}.upstream_rq_completed", "value": completed},
                {"histograms": {"supported_percentiles": [0, 50, 95], "details": details}},
            ]
        }
    )
