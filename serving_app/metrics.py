"""What the service counts. With several workers the numbers live in memory-backed files that all of them share
(PROMETHEUS_MULTIPROC_DIR, set by the main process before this module is imported)."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The service's metrics, in a registry of their own so that two apps in one process do not clash."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter("serving_requests", "Requests answered", ("route", "status"), registry=self._registry)
        self.seconds = Histogram(
            "serving_request_seconds", "Time in the service", ("route",), buckets=SECONDS, registry=self._registry
        )
        self.in_flight = Gauge(
            "serving_requests_in_flight",
            "Requests being answered",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self.model_seconds = Histogram(
            "serving_model_seconds", "Time in the model", buckets=SECONDS, registry=self._registry
        )
        self.rows = Histogram("serving_batch_rows", "Rows of one inference", buckets=ROWS, registry=self._registry)
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            ProcessCollector(registry=self._registry)

    def inference(self, rows: int, seconds: float) -> None:
        """Count one inference."""
        self.rows.observe(rows)
        self.model_seconds.observe(seconds)

    def text(self) -> bytes:
        """Return every worker's metrics, added up, in Prometheus' text format."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
