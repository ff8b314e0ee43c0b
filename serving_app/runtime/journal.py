"""The log: one JSON object a line on standard error, for machines that collect it."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import logging.handlers
import queue
import sys
import time
from typing import Any

import orjson

QUEUED = 1000
"""Records that wait to be written."""

log = logging.getLogger("serving_app")


class JsonLines(logging.Formatter):
    """Writes a record, and what was given with `extra={"data": {…}}`, as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry: dict[str, Any] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "process": record.process,
            **getattr(record, "data", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(entry, default=str).decode()


class Dropping(logging.handlers.QueueHandler):
    """Hands records to a thread that writes them. Whoever collects the log and stops reading it must not stop the
    service: what finds the queue full is dropped."""

    def __init__(self, records: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(records)
        self._records = records

    @property
    def written(self) -> bool:
        """Whether nothing waits."""
        return self._records.empty()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a record, or drop it."""
        with contextlib.suppress(queue.Full):
            self._records.put_nowait(record)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return the record as it is: it stays in this process."""
        return record


def start(*, aside: bool = False) -> None:
    """Send every log record to standard error as JSON.

    Args:
        aside: a thread writes, so that no caller ever waits for the reader.
    """
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    if aside:
        records: queue.Queue[logging.LogRecord] = queue.Queue(QUEUED)
        logging.handlers.QueueListener(records, handler).start()
        handler = Dropping(records)
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)


def flush(seconds: float = 0.5) -> None:
    """Give the thread this time to write what is queued."""
    deadline = time.monotonic() + seconds
    for handler in logging.getLogger().handlers:
        while isinstance(handler, Dropping) and not handler.written and time.monotonic() < deadline:
            time.sleep(0.01)
