"""One line of the log for a request."""

from __future__ import annotations

from serving_app.runtime.journal import log


def log_request(
    method: str, path: str, address: str, name: str, status: int, seconds: float, trace: tuple[str, str] | None
) -> None:
    """Log a request that was answered, or refused, after so many seconds.

    Args:
        method: empty if the request was refused before it was known; `path` likewise.
        address: who sent it; behind a gateway, the gateway.
        name: the request's id.
        trace: its trace and what it is called there.
    """
    data = {
        "request_id": name,
        "method": method,
        "path": path[:200],
        "status": status,
        "milliseconds": round(seconds * 1000, 3),
        "address": address,
    }
    if trace is not None:
        data["trace_id"] = trace[0]
    log.info("request", extra={"data": data})
