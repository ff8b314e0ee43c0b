"""What goes back: answers and refusals are counted, logged and encoded here."""

from __future__ import annotations

import time
from collections.abc import Callable

from serving_app.errors import RequestError
from serving_app.http import answer as answers
from serving_app.http.access import log_request
from serving_app.http.answer import Answer, refusal
from serving_app.http.connection import Connection
from serving_app.http.head import Head, HeadError
from serving_app.http.lifetime import is_over
from serving_app.runtime.browsers import Browsers
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Row, route_of
from serving_app.runtime.trace import go_on, request_id
from serving_app.settings import Settings


class Answering:
    """Answers the requests of one worker. Only the loop's thread may call it.

    Args:
        lost: is called when a connection has ended.
        clock: gives seconds that only go on.
    """

    def __init__(
        self,
        config: Settings,
        lifecycle: Lifecycle,
        row: Row,
        lost: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._browsers = Browsers(config.cors_origins)
        self._lifecycle = lifecycle
        self._row = row
        self._clock = clock
        self._date = answers.date()
        self.lost = lost
        self.handle: Callable[[Connection, Head, bytes], None]
        """Is given each request when it is whole; `answer` is called for it, then or later."""

    def tick(self) -> None:
        """Look at the date."""
        self._date = answers.date()

    def answer(self, connection: Connection, head: Head, name: str, answer: Answer, seconds: float) -> None:
        """Count a request's answer and send it."""
        self._row.in_flight(-1)
        self._row.request(route_of(head.path), str(answer.status), seconds)
        leave = (
            (connection.ended and not connection.more)
            or connection.surplus
            or self._lifecycle.draining
            or is_over(connection, self._clock())
        )
        keep = head.keep and not leave
        more = b"" if keep and head.minor else b"Connection: keep-alive\r\n" if keep else b"Connection: close\r\n"
        trace = go_on(head.fields[b"traceparent"].decode("latin-1")) if b"traceparent" in head.fields else None
        if trace is not None:
            more += b"traceparent: %b\r\n" % trace[1].encode()
        more += self._browsers.lines(_text(head.fields.get(b"origin")))
        if self._logs(answer.status):
            log_request(head.method, head.path, connection.address, name, answer.status, seconds, trace)
        data = answers.encode(answer, date=self._date, request_id=name, more=more, body=head.method != "HEAD")
        connection.send(data, last=not keep)

    def refuse(self, connection: Connection, error: RequestError) -> None:
        """Answer a request that nobody will read to its end, and end the connection."""
        reader = connection.reader
        head, method, name = reader.head, reader.method, request_id(None)
        path = head.path if head else reader.target.decode("latin-1")
        reason = (
            "connections" if error.field == "connection" else error.reason if isinstance(error, HeadError) else None
        )
        if reason:
            self._row.refused(reason)
        self._row.request(route_of(path), str(error.status), 0.0)
        if self._logs(error.status):
            seconds = max(0.0, self._clock() - connection.since)
            log_request(method, path, connection.address, name, error.status, seconds, None)
        answer = refusal(error, retry_seconds=1 if error.status == 503 else 0)
        origin = head.fields.get(b"origin") if head else None
        more = b"Connection: close\r\n" + self._browsers.lines(_text(origin))
        data = answers.encode(answer, date=self._date, request_id=name, more=more, body=method != "HEAD")
        connection.send(data, last=True)

    def _logs(self, status: int) -> bool:
        return self._config.access_log or (status >= 500 and status != 503)  # those are counted


def _text(value: bytes | None) -> str | None:
    return value.decode("latin-1") if value is not None else None
