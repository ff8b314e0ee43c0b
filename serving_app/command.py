"""The command line: settings, the model's folder, the port, and then the server."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from serving_app import passport, settings
from serving_app.errors import StartError
from serving_app.model import model_dir
from serving_app.runtime import journal

DESCRIPTION = "Serve one model directory. More settings are SERVING_… variables: docs/serving.md."


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C. Returns 0 after that, 2 if the service cannot start, 3 if its model cannot."""
    # The first process of a container ignores signals that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    journal.start()
    try:
        config = _settings(argv)
        _check_recording(config)
        model = model_dir.read(config.model_dir)
        model_dir.verify(model)
        passport.issue(model)
        ports = [config.port, config.status_port] if config.status_port else [config.port]
        listeners = [_listen(config.host, port) for port in ports]
    except StartError as error:
        _say(str(error), sys.stderr)
        return 2
    host = f"[{config.host}]" if ":" in config.host else config.host
    address = f"http://{host}:{config.port}"
    _say(f"{model.service} {model.version} on {address}; a page to try it: {address}/try", sys.stdout)

    from serving_app.process.server import Server
    from serving_app.runtime.lifecycle import Lifecycle

    return Server(config, listeners, Lifecycle()).run()


def _check_recording(config: settings.Settings) -> None:
    """What users asked is not told to users."""
    if config.record_requests and not config.status_port:
        raise StartError(
            "SERVING_RECORD_REQUESTS keeps what users ask, which is told on a port of its own alone; "
            "give SERVING_STATUS_PORT too"
        )


def _settings(argv: list[str] | None) -> settings.Settings:
    base = settings.load()
    parser = argparse.ArgumentParser(prog="python -m serving_app", description=DESCRIPTION)
    parser.add_argument("--model-dir", type=Path, default=base.model_dir, help="folder with model.json (%(default)s)")
    parser.add_argument("--host", default=base.host, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=_from(1, 65535), default=base.port, help="port to listen on (%(default)s)")
    parser.add_argument("--workers", type=_from(1, 256), default=base.workers, help="processes (%(default)s)")
    arguments = parser.parse_args(argv)
    return dataclasses.replace(base, **vars(arguments))


def _from(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return read


def _listen(host: str, port: int) -> socket.socket:
    from serving_app.process.server import listen

    try:
        return listen(host, port)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (")[0]
        raise StartError(f"cannot listen on {host}:{port} ({why}); choose another with --port or --host") from error


def _say(text: str, stream: TextIO) -> None:
    stream.write(f"serving_app: {text}\n")
    stream.flush()
