"""What probes, scrapers and people ask: alive, ready, who are you, how are you."""

from __future__ import annotations

import time

from flask import Blueprint, Response

from serving_app.errors import RequestError
from serving_app.passport import Passport
from serving_app.routes.responses import document, encoded
from serving_app.runtime import metrics as prometheus
from serving_app.runtime.kept import Shelves
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Metrics

TEXT = "text/plain; charset=utf-8"


def routes(passport: Passport, lifecycle: Lifecycle, metrics: Metrics, kept: Shelves | None = None) -> Blueprint:
    """Return the blueprint; with the requests that are kept, if they are."""
    blueprint = Blueprint("status", __name__)

    @blueprint.get("/")
    def home() -> Response:
        return Response(f"Healthy: {passport.service} {passport.model_version}\n", content_type=TEXT)

    @blueprint.get("/livez")
    def live() -> Response:
        return Response("ok\n", content_type=TEXT)

    @blueprint.get("/readyz")
    def ready() -> Response:
        if lifecycle.ready:
            return Response("ok\n", content_type=TEXT)
        word = "draining" if lifecycle.draining else "starting"
        return Response(f"{word}\n", 503, content_type=TEXT)

    @blueprint.get("/version")
    def version() -> Response:
        return document(passport.document())

    @blueprint.get("/metrics")
    def scrape() -> Response:
        return Response(metrics.text(), content_type=prometheus.CONTENT_TYPE)

    if kept is not None:

        @blueprint.get("/recorded")
        def recorded() -> Response:
            if not kept.may_be_told(time.monotonic()):
                raise RequestError(503, "request", "the requests were told a moment ago; ask again in a second")
            return encoded(kept.text())

    return blueprint
