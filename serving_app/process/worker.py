"""One worker process: it opens the model, then turns the loop until told to stop."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from typing import NoReturn

from flask import Flask

from serving_app.app import create_app
from serving_app.errors import StartError
from serving_app.http.dispatch import QUICK_SECONDS
from serving_app.http.front import Front
from serving_app.http.loop import STUCK, Loop
from serving_app.inputs.recorder import Recorder
from serving_app.model.predictor import Predictor
from serving_app.runtime import heap, journal
from serving_app.runtime.journal import log
from serving_app.runtime.kept import Shelves
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Metrics, Row
from serving_app.settings import Settings

START_FAILED = 3
"""Exit code of a worker, and of the service, whose model does not start."""
LOOK = 0.1
"""Seconds between two looks at the running inferences."""
STUCK_SECONDS = 2.0
"""An inference that goes on for so long after it was cut will not end."""


def main(
    slot: int,
    config: Settings,
    listeners: Sequence[socket.socket],
    lifecycle: Lifecycle,
    metrics: Metrics,
    kept: Shelves | None,
    app: Flask | None,
    *,
    parent: int,
) -> NoReturn:
    """Be the worker of this slot; ends the process.

    Args:
        listeners: for everybody, and, if there is a port for that, for probes and scrapers.
        kept: where requests are kept, if they are.
        app: the main process's, or None to make one.
        parent: the main process. It may have died already, so it cannot be asked for here.
    """
    code = 1
    try:
        journal.start(aside=True)
        code = _serve(slot, config, listeners, lifecycle, metrics, kept, app, parent)
    except StartError as error:
        if lifecycle.first_to_fail():
            sys.stderr.write(f"serving_app: {error}\n")
        code = START_FAILED
    except BaseException:
        traceback.print_exc()
    finally:
        journal.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve(
    slot: int,
    config: Settings,
    listeners: Sequence[socket.socket],
    lifecycle: Lifecycle,
    metrics: Metrics,
    kept: Shelves | None,
    app: Flask | None,
    parent: int,
) -> int:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    row = metrics.rows[slot]
    parts = (app or create_app(config, lifecycle, metrics, row, kept)).extensions["serving"]
    parts.service.observe = row.inference
    if kept is not None:
        parts.service.recorder = Recorder(parts.service.model, kept.rows[slot], config.record_omit)
    front = Front(parts.service, parts.plain)
    peers = [peer for peer in metrics.rows if peer is not row]
    quick = parts.service.seconds <= QUICK_SECONDS
    listener, *status = listeners
    loop = Loop(listener, front, config, lifecycle, row, peers, quick=quick, status=status[0] if status else None)
    signal.signal(signal.SIGTERM, lambda *_: loop.stop())
    threading.Thread(
        target=_watch, args=(loop, parts.predictor, config, row, parent), name="watch", daemon=True
    ).start()
    heap.settle()
    loop.run()
    return 0


def _watch(loop: Loop, predictor: Predictor, config: Settings, row: Row, parent: int) -> None:
    """Cut inferences that take too long; leave when the main process has died, or when the model cannot be cut."""
    while True:
        time.sleep(LOOK)
        if os.getppid() != parent:
            os._exit(1)
        for _ in range(predictor.cut(config.model_seconds)):
            row.event("serving_model_cut_total")
        if predictor.stuck(config.model_seconds + STUCK_SECONDS):
            log.error("the model cannot be cut; this worker is replaced")
            loop.give_up()
            time.sleep(STUCK_SECONDS)  # the loop ends the process, unless it is the loop that is stuck
            os._exit(STUCK)
