"""The only reader of the environment. Every value has a default that suits a laptop; the image sets its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving_app.cpus import usable_cpus
from serving_app.errors import StartError


@dataclass(frozen=True)
class Settings:
    """How the service runs; nothing here changes an answer."""

    model_dir: Path = Path("/model")
    """Folder with model.json and the files that it names."""
    host: str = "127.0.0.1"
    """Address to listen on. Loopback unless told otherwise; the image says 0.0.0.0."""
    port: int = 8080
    workers: int = 1
    """Processes, each with a session of its own. The default follows the CPUs this process may use, two at most:
    more replicas are the cluster's business."""
    threads: int = 4
    """Threads of one worker that run Python. More than one so that probes are answered while a model computes."""
    model_threads: int = 1
    """Threads that ONNX Runtime uses inside one request."""
    max_body_bytes: int = 16 * 1024 * 1024
    """A larger body is refused with 413 before it is read."""
    max_batch: int = 256
    """Pictures or rows in one request."""
    max_pixels: int = 50_000_000
    """Pixels of one picture: a small file can claim a huge one."""
    drain_seconds: float = 2.0
    """After SIGTERM: time in which requests are still answered, with `Connection: close`, and /readyz says 503.
    Clients with open connections leave in this time instead of finding them cut."""
    stop_seconds: int = 20
    """Then: time in which requests in flight may finish before their worker is killed."""


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from `SERVING_…` variables.

    Raises:
        StartError: a variable that is not a number of the kind wanted; it names the variable.
    """
    cpus = usable_cpus()
    workers = _number(environ, "SERVING_WORKERS", min(2, cpus), low=1)
    base = Settings()
    return Settings(
        model_dir=Path(environ.get("SERVING_MODEL_DIR") or base.model_dir),
        host=environ.get("SERVING_HOST") or base.host,
        port=_number(environ, "SERVING_PORT", base.port, low=1, high=65535),
        workers=workers,
        threads=_number(environ, "SERVING_THREADS", base.threads, low=1),
        model_threads=_number(environ, "SERVING_MODEL_THREADS", max(1, cpus // workers), low=1),
        max_body_bytes=_number(environ, "SERVING_MAX_BODY_BYTES", base.max_body_bytes, low=1),
        max_batch=_number(environ, "SERVING_MAX_BATCH", base.max_batch, low=1),
        max_pixels=_number(environ, "SERVING_MAX_PIXELS", base.max_pixels, low=1),
        drain_seconds=_number(environ, "SERVING_DRAIN_MS", int(base.drain_seconds * 1000), low=0) / 1000,
        stop_seconds=_number(environ, "SERVING_STOP_SECONDS", base.stop_seconds, low=1),
    )


def _number(environ: Mapping[str, str], name: str, default: int, *, low: int, high: int = 2**31) -> int:
    text = environ.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise StartError(f"{name} is {text!r}; give a whole number from {low} to {high}, or leave it out for {default}")
    return int(text)
