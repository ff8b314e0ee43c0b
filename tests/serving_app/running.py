"""The service as production starts it, in a process of its own on a free loopback port."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import serving_app

START_SECONDS = 90
ROOT = Path(serving_app.__file__).parents[1]


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Wait until it is true.

    Raises:
        AssertionError: it was not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def metric(service: Service, name: str) -> float:
    """Return one number of /metrics."""
    match = re.search(rf"^{re.escape(name)} (\S+)$", service.get("/metrics")[1].decode(), re.MULTILINE)
    assert match, name
    return float(match[1])


class Service:
    """A running service.

    Args:
        descriptors: how many files and connections each of its processes may have open, soft and hard limit.
    """

    def __init__(self, model_dir: Path, environ: Mapping[str, str], descriptors: int | None = None) -> None:
        self.port = free_port()
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        limited = ["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else []
        self.process = subprocess.Popen(
            [*limited, sys.executable, "-m", "serving_app", "--model-dir", str(model_dir), "--port", str(self.port)],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "SERVING_DRAIN_MS": "100",
                **environ,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_ready(self) -> Service:
        """Wait until /readyz says 200.

        Raises:
            AssertionError: it ended, or was not ready in time.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.output()}")
            try:
                if self.get("/readyz")[0] == 200:
                    return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError("not ready in time")

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that is kept open."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body, over a connection of its own."""
        connection = self.connect()
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def post(self, path: str, document: Any) -> tuple[int, Any]:
        """Return status and answer to a JSON document."""
        connection = self.connect()
        try:
            connection.request("POST", path, json.dumps(document), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def workers(self) -> list[int]:
        """Return the worker processes' ids."""
        task = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(pid) for pid in Path(task).read_text().split()]

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 30) -> int:
        """Return the exit code."""
        return self.process.wait(seconds)

    def output(self) -> str:
        """Return what an ended service printed."""
        assert self.process.stdout
        return self.process.stdout.read()

    def kill(self) -> None:
        """End it and its workers now, whatever state they are in."""
        if self.process.poll() is None:
            for pid in self.workers():
                os.kill(pid, signal.SIGKILL)
            self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
