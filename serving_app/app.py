"""The Flask app: one model, opened and warmed up, behind its routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask

from serving_app import passport, settings
from serving_app.errors import StartError
from serving_app.model import model_dir
from serving_app.model.predictor import Predictor
from serving_app.routes import score, status, try_page, v2
from serving_app.routes.middleware import Middleware
from serving_app.routes.preflight import answer_preflights
from serving_app.routes.responses import handle_errors
from serving_app.runtime import heap
from serving_app.runtime.browsers import Browsers
from serving_app.runtime.kept import Shelves
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Metrics, Row
from serving_app.service import Service

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@dataclass(frozen=True)
class Parts:
    """What a server needs beside the app, as `app.extensions["serving"]`."""

    service: Service
    predictor: Predictor
    plain: WSGIApplication
    """The app without the middleware, for a server that counts and names requests itself."""


def create_app(
    config: settings.Settings | None = None,
    lifecycle: Lifecycle | None = None,
    metrics: Metrics | None = None,
    row: Row | None = None,
    kept: Shelves | None = None,
) -> Flask:
    """Return the app, ready to answer: the model has already computed one real inference.

    Args:
        config: how to run; read from the environment if left out.
        lifecycle: shared with the process that is told to stop; one of its own if left out.
        metrics: of all workers; of this app alone if left out.
        row: this worker's row of them.
        kept: the requests that all workers keep, where they do.

    Raises:
        StartError: settings, model directory or model are wrong; one sentence says what and where.
    """
    heap.give_back_large_blocks()
    config = config or settings.load()
    lifecycle = lifecycle or Lifecycle()
    model = model_dir.read(config.model_dir)
    identity = passport.issue(model)
    counts = metrics or Metrics()
    row = row or counts.rows[0]
    try:
        predictor = Predictor(model, threads=config.model_threads, alone=lambda: counts.in_flight <= 1)
        limits = {"max_batch": config.max_batch, "max_pixels": config.max_pixels}
        service = Service(model, predictor, **limits, observe=row.inference)
        service.warm_up()
    except StartError:
        raise
    except Exception as error:  # whatever it is: a start fails with a sentence
        said = (str(error).splitlines() or [""])[0][:300]
        raise StartError(f"{model.model} cannot be started ({type(error).__name__}): {said}") from error
    lifecycle.warmed_up()

    app = Flask("serving_app", static_folder=None)
    app.url_map.merge_slashes = False  # "//score" is another path, not a reason to send people elsewhere
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    app.register_blueprint(score.routes(service))
    app.register_blueprint(v2.routes(service, lifecycle))
    app.register_blueprint(status.routes(identity, lifecycle, counts, kept))
    sizes = {"max_batch": config.max_batch, "max_body_bytes": config.max_body_bytes}
    app.register_blueprint(try_page.routes(model, identity, **sizes))
    handle_errors(app)
    browsers = Browsers(config.cors_origins)
    answer_preflights(app, browsers)
    app.extensions["serving"] = Parts(service, predictor, app.wsgi_app)
    app.wsgi_app = Middleware(app.wsgi_app, row, lifecycle, browsers)  # type: ignore[method-assign]
    return app
