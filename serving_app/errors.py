"""What can go wrong, as one sentence for a person: before the service starts, or in a request.

A request's error becomes a problem document (RFC 9457) that names the field. Nothing else of it leaves the process:
a traceback is for the log.
"""

from __future__ import annotations

import http


class StartError(Exception):
    """The service cannot start: what was wrong, where, and what to do."""


class RequestError(Exception):
    """A request that is refused.

    Args:
        status: the HTTP status, 4xx or 503.
        field: the member, header or path part that was wrong, as a JSON-path-like name (`inputs[0].shape`).
        detail: one sentence: what was wrong with it and what is wanted.
    """

    def __init__(self, status: int, field: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.field = field
        self.detail = detail

    def problem(self) -> dict[str, str | int]:
        """Return the problem document's members."""
        return problem(self.status, self.detail, self.field)


class NotQuick(Exception):
    """Reading this request takes longer than a loop that others wait for should spend on it."""


class ModelRefusal(RequestError):
    """A request that the model itself found wrong while it computed: an index that it does not have, sizes that do not
    go together. Unlike other refusals it is worth a line in the log."""

    def __init__(self, why: str) -> None:
        super().__init__(400, "inputs", f"the model does not take this: {why}")


def bad_request(field: str, detail: str) -> RequestError:
    """Return a 400 about one field."""
    return RequestError(400, field, detail)


def problem(status: int, detail: str, field: str | None = None) -> dict[str, str | int]:
    """Return a problem document. `error` is what Open Inference Protocol clients read the message from."""
    document: dict[str, str | int] = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "error": detail,
    }
    if field is not None:
        document["field"] = field
    return document
