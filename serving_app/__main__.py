"""`python -m serving_app`: serve one model directory, on a laptop as in the image."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from serving_app import model_dir, passport, settings
from serving_app.errors import StartError


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C. Returns 0 after that, 2 if the service cannot start, 3 if its model cannot."""
    # The first process of a container ignores signals that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        config = _settings(argv)
        model = model_dir.read(config.model_dir)
        passport.issue(model)
        _check_address(config.host, config.port)
    except StartError as error:
        _say(str(error), sys.stderr)
        return 2
    _say(f"{model.service} {model.version} on http://{config.host}:{config.port}", sys.stdout)
    return _serve(config)


def _settings(argv: list[str] | None) -> settings.Settings:
    base = settings.load()
    parser = argparse.ArgumentParser(prog="python -m serving_app", description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=base.model_dir, help="folder with model.json (%(default)s)")
    parser.add_argument("--host", default=base.host, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=base.port, help="port to listen on (%(default)s)")
    parser.add_argument("--workers", type=int, default=base.workers, help="processes (%(default)s)")
    arguments = parser.parse_args(argv)
    return dataclasses.replace(base, **vars(arguments))


def _check_address(host: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise StartError(
            f"cannot listen on {host}:{port} ({error.strerror or error}); choose with --host, --port"
        ) from error


def _serve(config: settings.Settings) -> int:
    # Workers share memory with this process (the drain flag), so they must be forks of it.
    multiprocessing.set_start_method("fork")
    # Where the workers' metrics add up: memory, which also a read-only root file system has.
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    try:
        folder = tempfile.mkdtemp(prefix=f"serving-metrics-{os.getpid()}-", dir=shared)
    except OSError:
        _say("no folder is writable for metrics; mount memory at /dev/shm, or set TMPDIR", sys.stderr)
        return 2
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # read when prometheus_client is loaded
    main_process = os.getpid()
    try:
        from serving_app.lifecycle import Lifecycle
        from serving_app.server import Server

        Server(config, Lifecycle()).run()
    finally:
        if os.getpid() == main_process:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _say(text: str, stream: TextIO) -> None:
    stream.write(f"serving_app: {text}\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
