"""The main process: it listens, forks the workers, replaces those that die, and takes SIGTERM.

It loads the packages, and a small model (`shared.py`), so that its forks start fast and share that memory. At SIGTERM
the workers first answer on for `drain_seconds`, not ready, each answer with `Connection: close`: clients that keep
connections open through a Kubernetes Service leave in this time, where they would otherwise meet closed ones.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence

from flask import Flask

from serving_app.errors import StartError
from serving_app.process import shared, worker
from serving_app.process.worker import START_FAILED
from serving_app.runtime import descriptors
from serving_app.runtime.journal import log
from serving_app.runtime.kept import Shelves
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Metrics
from serving_app.settings import Settings

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
LOOK = 0.25
"""Seconds between two looks at the workers."""
SHORT_LIFE = 1.0
"""A worker that lives shorter than this is replaced only after as long, so that a crash at once is no busy loop."""


class Server:
    """Keeps the workers running."""

    def __init__(self, config: Settings, listeners: Sequence[socket.socket], lifecycle: Lifecycle) -> None:
        self._config = config
        self._listeners = listeners
        self._lifecycle = lifecycle
        self._metrics = Metrics(config.workers)
        self._kept = Shelves(config.record_requests, config.workers) if config.record_requests else None
        self._app: Flask | None = None
        self._pids: list[int] = [0] * config.workers
        self._born: list[float] = [0.0] * config.workers
        self._served = False
        """Whether any worker has come as far as its loop."""
        self._stop_at: float | None = None
        self._kill_at: float | None = None

    def run(self) -> int:
        """Serve until told to stop; the exit code."""
        descriptors.raise_limit()
        try:
            self._app = shared.open_app(self._config, self._lifecycle, self._metrics, self._kept)
        except StartError as error:
            sys.stderr.write(f"serving_app: {error}\n")
            return START_FAILED
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        while True:
            for slot, pid in enumerate(self._pids):
                if not pid and not self._stop_at and time.monotonic() - self._born[slot] > SHORT_LIFE:
                    self._fork(slot)
            select.select([wake_read], [], [], LOOK)
            with contextlib.suppress(BlockingIOError):
                for byte in os.read(wake_read, 64):
                    self._signal(byte)
            failed = self._reap()
            if failed:
                self._end()
                return failed
            if self._stop_at is not None and time.monotonic() >= self._stop_at and self._stopped():
                return 0

    def _signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            return
        first = self._stop_at is None
        self._lifecycle.drain()
        # Ctrl-C, or a second SIGTERM, does not wait.
        wait = self._config.drain_seconds if number == signal.SIGTERM and first else 0.0
        self._stop_at = time.monotonic() + wait

    def _fork(self, slot: int) -> None:
        # A new worker has this process's handlers, which mean nothing to it: hold signals back until it has its own.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        own = os.getpid()
        pid = os.fork()
        if pid == 0:
            shared_parts = (self._config, self._listeners, self._lifecycle, self._metrics, self._kept, self._app)
            worker.main(slot, *shared_parts, parent=own)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        self._pids[slot] = pid
        self._born[slot] = time.monotonic()
        self._metrics.rows[slot].began(pid, self._born[slot])

    def _reap(self) -> int:
        """Notice workers that ended, and end those that hang. Returns START_FAILED if the model cannot start.

        A worker that still opens its model has no loop that could hang, however long that takes."""
        now = time.monotonic()
        for slot, pid in enumerate(self._pids):
            if not pid:
                continue
            row = self._metrics.rows[slot]
            begun = row.beaten > self._born[slot]
            self._served |= begun
            if begun and now - row.beaten > self._config.hang_seconds:
                log.error("worker hangs", extra={"data": {"worker": pid}})
                os.kill(pid, signal.SIGKILL)
        failed = 0
        with contextlib.suppress(ChildProcessError):
            while True:
                # As the first process of a container this one inherits the children of others: they are buried too.
                pid, status, used = os.wait4(-1, os.WNOHANG)
                if not pid:
                    break
                if pid in self._pids:
                    code = self._ended(self._pids.index(pid), status, used.ru_utime + used.ru_stime)
                    failed = failed or (code if code == START_FAILED else 0)
        return failed

    def _ended(self, slot: int, status: int, cpu_seconds: float) -> int:
        pid, self._pids[slot] = self._pids[slot], 0
        row = self._metrics.rows[slot]
        self._served |= row.beaten > self._born[slot]
        row.ended(cpu_seconds)
        code = os.waitstatus_to_exitcode(status)
        if code == START_FAILED or self._stop_at is not None:
            return code
        if code and not self._served:
            if self._lifecycle.first_to_fail():
                sys.stderr.write(f"serving_app: {_ending(code)}\n")
            return START_FAILED
        row.event("serving_worker_restarts_total")
        log.error("worker ended", extra={"data": {"worker": pid, "code": code}})
        return code

    def _stopped(self) -> bool:
        """Tell the workers to finish; True once they all have."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._config.stop_seconds
            self._tell(signal.SIGTERM)
            for listener in self._listeners:
                listener.close()
        if time.monotonic() >= self._kill_at:
            log.error("requests were cut: they took too long after SIGTERM")
            self._tell(signal.SIGKILL)
        return not any(self._pids)

    def _end(self) -> None:
        self._tell(signal.SIGKILL)
        for pid in filter(None, self._pids):
            os.waitpid(pid, 0)

    def _tell(self, number: int) -> None:
        for pid in filter(None, self._pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _ending(code: int) -> str:
    """Say how a worker ended that never served."""
    if code == -signal.SIGKILL:
        return "a worker was killed while it opened the model, as when memory runs out; give it more, or fewer workers"
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
    return f"a worker ended with {how} while it opened the model"


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; that of `::` takes IPv4 too, where the system can.

    Raises:
        OSError: the address is not to be had.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    both = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=1024, dualstack_ipv6=both)
