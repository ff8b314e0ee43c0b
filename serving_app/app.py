"""The Flask app: one model, opened and warmed up, behind its routes."""

from __future__ import annotations

from flask import Flask

from serving_app import model_dir, passport, routes_score, routes_status, routes_v2, settings
from serving_app.lifecycle import Lifecycle
from serving_app.metrics import Metrics
from serving_app.middleware import Middleware
from serving_app.predictor import Predictor
from serving_app.responses import handle_errors
from serving_app.service import Service


def create_app(config: settings.Settings | None = None, lifecycle: Lifecycle | None = None) -> Flask:
    """Return the app, ready to answer: the model has already computed one real inference.

    Args:
        config: how to run; read from the environment if left out.
        lifecycle: shared with the process that is told to stop; an app of its own if left out.

    Raises:
        StartError: settings, model directory or model are wrong; one sentence says what and where.
    """
    config = config or settings.load()
    lifecycle = lifecycle or Lifecycle()
    model = model_dir.read(config.model_dir)
    identity = passport.issue(model)
    predictor = Predictor(model, threads=config.model_threads)
    metrics = Metrics()
    service = Service(
        model, predictor, max_batch=config.max_batch, max_pixels=config.max_pixels, observe=metrics.inference
    )
    service.warm_up()
    lifecycle.warmed_up()

    app = Flask("serving_app", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    app.register_blueprint(routes_score.routes(service))
    app.register_blueprint(routes_v2.routes(service, lifecycle))
    app.register_blueprint(routes_status.routes(identity, lifecycle, metrics))
    handle_errors(app)
    app.wsgi_app = Middleware(app.wsgi_app, metrics, lifecycle)  # type: ignore[method-assign]
    return app
