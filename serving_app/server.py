"""Granian, the HTTP server, as production runs it: workers that are forked, respawned, and drained on SIGTERM.

Granian alone stops accepting at SIGTERM and ends once its connections are quiet. A client that keeps a connection open
through a Kubernetes Service would then meet a closed one. So the main process first lets the workers answer on for
`drain_seconds` with `Connection: close`, not ready; only then Granian's own shutdown begins.

The main process loads the packages but no model, so that its forks, the workers, start fast and share that memory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer
from prometheus_client import multiprocess

from serving_app.app import create_app
from serving_app.errors import StartError
from serving_app.lifecycle import Lifecycle
from serving_app.settings import Settings

SIGNALS = (signal.SIGTERM, signal.SIGINT)
START_FAILED = 3
"""Exit code of a worker, and of the service, whose model does not start."""


class Server(MPServer):
    """Granian with a drain before its shutdown, and without retries of a start that cannot succeed."""

    def __init__(self, config: Settings, lifecycle: Lifecycle) -> None:
        super().__init__(
            "serving_app",
            address=config.host,
            port=config.port,
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=10_000),
            workers=config.workers,
            blocking_threads=config.threads,
            backlog=1024,
            log_level=LogLevels.warning,
            respawn_failed_workers=True,
            workers_kill_timeout=config.stop_seconds,
            websockets=False,
        )
        self._config = config
        self._lifecycle = lifecycle

    def signal_handler_interrupt(self, signum: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
        """SIGTERM drains; Ctrl-C, or a second SIGTERM, stops at once."""
        first = not self._lifecycle.draining
        self._lifecycle.drain()
        if signum == signal.SIGTERM and first and self._config.drain_seconds > 0:
            timer = threading.Timer(self._config.drain_seconds, super().signal_handler_interrupt)
            timer.daemon = True
            timer.start()
        else:
            super().signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def _spawn_workers(self, *args: Any) -> None:
        with _signals_held():
            super()._spawn_workers(*args)  # type: ignore[no-untyped-call]

    def _respawn_workers(self, workers: list[int], *args: Any, **kwargs: Any) -> None:
        if any(self.wrks[index].inner.exitcode == START_FAILED for index in workers):
            self.shutdown(START_FAILED)  # type: ignore[no-untyped-call]
        for index in workers:
            _forget(self.wrks[index].inner.pid)
        with _signals_held():
            super()._respawn_workers(workers, *args, **kwargs)

    def run(self) -> None:
        """Serve until told to stop.

        Raises:
            SystemExit: with a code other than 0 if a worker could not start.
        """
        self.serve(target_loader=self._load, wrap_loader=False)

    def _load(self) -> Callable[..., Any]:
        """Runs in a worker: open the model. Granian listens, and takes over the signals, only after that."""
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        try:
            return create_app(self._config, self._lifecycle)
        except StartError as error:
            sys.stderr.write(f"serving_app: {error}\n")
            sys.stderr.flush()
            os._exit(START_FAILED)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Hold signals back while workers are forked. A new worker has this process's handlers, which mean nothing to it:
    a SIGTERM before it has its own would be lost, and the worker would never end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _forget(pid: int | None) -> None:
    """Drop a dead worker's share of the gauges."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
