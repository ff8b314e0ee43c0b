"""`POST /score`, as the original tutorial's clients speak it."""

from __future__ import annotations

from flask import Blueprint, Response

from serving_app.routes.responses import encoded, json_body, may_be_kept
from serving_app.service import Service


def routes(service: Service) -> Blueprint:
    """Return the blueprint."""
    blueprint = Blueprint("score", __name__)

    @blueprint.post("/score")
    def score() -> Response:
        return encoded(service.score(json_body(), record=may_be_kept()))

    return blueprint
