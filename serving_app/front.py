"""Who answers what: the two prediction paths have a short cut past Flask, everything else is the Flask app's.

The short cut calls the same `Service` as the routes do, and takes only what it need not think about: the exact path,
POST, plain JSON. Whatever is different in any way goes to Flask, which knows all of the contract.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from serving_app.binary import HEADER
from serving_app.errors import RequestError
from serving_app.http1 import wsgi
from serving_app.http1.answer import JSON, Answer, failure, refusal
from serving_app.http1.head import Head
from serving_app.journal import log
from serving_app.predictor import ModelCut
from serving_app.service import Service

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Quick = Callable[[bytes], Answer]
BINARY = b"Content-Type: application/octet-stream\r\n"
CUT = "the model took too long on this request and was cut"


class Front:
    """Answers whole requests; safe to call from several threads."""

    def __init__(self, service: Service, app: WSGIApplication) -> None:
        self._app = app
        model = f"/v2/models/{service.model.service}"
        self._service = service
        self._quick: dict[str, Quick] = {
            "/score": self._score,
            f"{model}/infer": self._infer,
            f"{model}/versions/{service.model.version}/infer": self._infer,
        }

    def quick(self, head: Head) -> Quick | None:
        """Return what answers this request without Flask, or None."""
        if not head.plain_json or head.method != "POST" or head.query:
            return None
        return self._quick.get(head.path)

    def predicts(self, head: Head) -> bool:
        """Whether this request is for the model, and so takes its turn."""
        return head.method == "POST" and (head.path == "/score" or head.path.endswith("/infer"))

    def _score(self, body: bytes) -> Answer:
        return Answer(200, JSON, self._service.score(body))

    def _infer(self, body: bytes) -> Answer:
        content, json_size = self._service.infer(body)
        if json_size is None:
            return Answer(200, JSON, content)
        return Answer(200, BINARY + b"%b: %d\r\n" % (HEADER.encode(), json_size), content)

    def compute(self, call: Quick, body: bytes, request_id: str) -> Answer:
        """Return a prediction's answer; never raises."""
        try:
            return call(body)
        except RequestError as error:
            return refusal(error)
        except ModelCut:
            log.error("model cut", extra={"data": {"request_id": request_id}})
            return failure(request_id, CUT)
        except Exception:
            log.exception("request failed", extra={"data": {"request_id": request_id}})
            return failure(request_id)

    def flask(self, head: Head, body: bytes, request_id: str, address: str) -> Answer:
        """Return the Flask app's answer; never raises."""
        try:
            return wsgi.call(self._app, head, body, request_id, address)
        except Exception:
            log.exception("request failed", extra={"data": {"request_id": request_id}})
            return failure(request_id, "the service failed on this request")
