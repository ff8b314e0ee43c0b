"""A real S3 storage of a test's own: versitygw, as the sandbox runs it, on a free port of loopback."""

from __future__ import annotations

import functools
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry import settings
from nightferry.clients.s3.connection import S3Key, S3Service, open_s3
from nightferry.sandbox.build import binaries
from nightferry.sandbox.progress import Progress
from nightferry.sandbox.stores.s3 import command, environment

ROOT = Path(__file__).parents[2]
KEY = S3Key("nightferry", "a secret of this test")


@functools.cache
def program() -> Path:
    """Compiled where it is not in the cache."""
    logs = settings.state_folder() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    return binaries.ensure(Progress(sys.stderr), ROOT, logs, ["s3"])["versitygw"]


class RealS3:
    """Its address; `kill` and `start` as often as a test wants."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        words = command(program(), f"127.0.0.1:{self.port}", self._folder)
        self._process = subprocess.Popen(
            words, env=environment(KEY), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None, "versitygw ended"
                assert time.monotonic() < until, "versitygw does not start"
                time.sleep(0.05)

    def kill(self) -> None:
        """As kill -9."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def service(self, url: str | None = None) -> S3Service:
        """A client, by another way if one is given."""
        return open_s3(url or self.url, None, KEY)


@contextmanager
def real_s3(folder: Path) -> Iterator[RealS3]:
    """Running; ended at the end."""
    storage = RealS3(folder)
    storage.start()
    try:
        yield storage
    finally:
        storage.kill()
