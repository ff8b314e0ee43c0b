"""One line of the log for a request."""

from __future__ import annotations

from serving_app.http.answer import Answer
from serving_app.http.head import Head
from serving_app.runtime.journal import log


def log_request(head: Head, name: str, trace: tuple[str, str] | None, answer: Answer, seconds: float) -> None:
    """Log a request that was answered after so many seconds, with its id and, if it has one, its trace."""
    data = {
        "request_id": name,
        "method": head.method,
        "path": head.path[:200],
        "status": answer.status,
        "milliseconds": round(seconds * 1000, 3),
    }
    if trace is not None:
        data["trace_id"] = trace[0]
    log.info("request", extra={"data": data})
