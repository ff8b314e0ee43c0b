"""Who answers what: the two prediction paths have a short cut past Flask, everything else is the Flask app's.

The short cut calls the same `Service` as the routes do, and takes only what it need not think about: the exact path,
POST, plain JSON. Whatever is different in any way goes to Flask, which knows all of the contract.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from serving_app.errors import ModelRefusal, NotQuick, RequestError
from serving_app.http import wsgi
from serving_app.http.answer import JSON, Answer, failure, refusal
from serving_app.http.head import Head
from serving_app.inputs import recorder
from serving_app.inputs.binary import HEADER
from serving_app.model.predictor import ModelCut
from serving_app.runtime.journal import log
from serving_app.service import Call, Service

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Read = Callable[..., Call]
BINARY = b"Content-Type: application/octet-stream\r\n"
UNRECORDED = recorder.HEADER.lower().encode()
CUT = "the model took too long on this request and was cut"


class Front:
    """Answers whole requests; safe to call from several threads."""

    def __init__(self, service: Service, app: WSGIApplication) -> None:
        self._app = app
        model = f"/v2/models/{service.model.service}"
        self._service = service
        self.batches = service.batches
        self._quick: dict[str, Read] = {
            "/score": service.read_score,
            f"{model}/infer": service.read_infer,
            f"{model}/versions/{service.model.version}/infer": service.read_infer,
        }
        self._unrecorded: dict[str, Read] = {path: partial(read, record=False) for path, read in self._quick.items()}

    def quick(self, head: Head) -> Read | None:
        """Return what reads this request without Flask, or None."""
        if not head.plain_json or head.method != "POST" or head.query:
            return None
        return (self._unrecorded if head.fields.get(UNRECORDED) == b"0" else self._quick).get(head.path)

    def predicts(self, head: Head) -> bool:
        """Whether this request is for the model, and so takes its turn."""
        return head.method == "POST" and (head.path == "/score" or head.path.endswith("/infer"))

    def read_quickly(self, read: Read, body: bytes, request_id: str) -> Call | Answer | None:
        """Do as `read`, or return None if that would take long, as large pictures do, however few their bytes."""
        try:
            return read(body, quick=True)
        except NotQuick:
            return None
        except Exception as error:
            return _failed(error, request_id)

    def read(self, read: Read, body: bytes, request_id: str) -> Call | Answer:
        """Take a prediction as far as the model, or answer what is wrong with it; never raises."""
        try:
            return read(body)
        except Exception as error:
            return _failed(error, request_id)

    def compute(self, calls: list[tuple[Call, str]]) -> list[Answer]:
        """Return the answers of calls, each with its request's id, from one inference; never raises."""
        try:
            outputs = self._service.run_all([call.arrays for call, _ in calls])
            return [_written(call.write(each)) for (call, _), each in zip(calls, outputs, strict=True)]
        except Exception as error:
            if len(calls) > 1:  # one of them may be at fault: alone, each gets what it deserves
                return [answer for call in calls for answer in self.compute([call])]
            return [_failed(error, calls[0][1])]

    def predict(self, read: Read, body: bytes, request_id: str) -> Answer:
        """Return a prediction's answer; never raises."""
        call = self.read(read, body, request_id)
        return call if isinstance(call, Answer) else self.compute([(call, request_id)])[0]

    def flask(self, head: Head, body: bytes, request_id: str, address: str) -> Answer:
        """Return the Flask app's answer; never raises."""
        try:
            return wsgi.call(self._app, head, body, request_id, address)
        except Exception as error:
            return _failed(error, request_id)


def _written(content: tuple[bytes, int | None]) -> Answer:
    body, json_size = content
    if json_size is None:
        return Answer(200, JSON, body)
    return Answer(200, BINARY + b"%b: %d\r\n" % (HEADER.encode(), json_size), body)


def _failed(error: Exception, request_id: str) -> Answer:
    if isinstance(error, RequestError):
        if isinstance(error, ModelRefusal):
            log.warning("model refused", extra={"data": {"request_id": request_id, "why": error.detail}})
        return refusal(error)
    if isinstance(error, ModelCut):
        log.error("model cut", extra={"data": {"request_id": request_id}})
        return failure(request_id, CUT)
    log.error("request failed", exc_info=error, extra={"data": {"request_id": request_id}})
    return failure(request_id)
