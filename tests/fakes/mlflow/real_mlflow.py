"""MLflow's own server, started by a test on a port of its own, with its database and artifacts in a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from nightferry.sandbox.build import mlflow_environment
from nightferry.sandbox.machine.ports import free
from nightferry.sandbox.progress import Progress
from nightferry.sandbox.stores import mlflow_server

from tests.e2e.stage import ROOT

PATIENCE = 600.0
"""Seconds for a start, on a machine that has much else to do."""


class RealMlflow:
    """The server; `kill` it and `start` it again, and it has what it had."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self._folder, self._host = folder, host
        self._python = mlflow_environment.ensure(Progress(sys.stderr), ROOT, folder)
        self.port = next(port for port in range(15200, 15400) if free(host, port))
        self.url = f"http://{host}:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        words = mlflow_server.command(self._python, self._folder, self._host, self.port)
        environment = {**mlflow_server.QUIET, "HOME": str(self._folder), "PATH": os.environ["PATH"]}
        with (self._folder / "mlflow.log").open("ab") as log:
            self._process = subprocess.Popen(
                words, cwd=self._folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + PATIENCE
        pause = threading.Event()
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise RuntimeError((self._folder / "mlflow.log").read_text(errors="replace")[-2000:])
            pause.wait(0.2)

    def kill(self) -> None:
        """`kill -9`, of all of its processes."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/health", timeout=5).status_code == 200
        except requests.RequestException:
            return False


@contextmanager
def running(folder: Path, host: str = "127.0.0.1") -> Iterator[RealMlflow]:
    """A server, until the block ends."""
    mlflow = RealMlflow(folder, host)
    try:
        mlflow.start()
        yield mlflow
    finally:
        mlflow.kill()
