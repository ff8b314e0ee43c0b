"""The only reader of the environment. Every value has a default that suits a laptop; the image sets its own."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving_app.errors import StartError
from serving_app.runtime.browsers import ANY, ORIGIN
from serving_app.runtime.cpus import usable_cpus

MOST_RECORDED = 1000


@dataclass(frozen=True)
class Settings:
    """How the service runs; nothing here changes an answer."""

    model_dir: Path = Path("/model")
    """Folder with model.json and the files that it names."""
    host: str = "127.0.0.1"
    """Address to listen on. Loopback unless told otherwise; the image says 0.0.0.0."""
    port: int = 8080
    status_port: int = 0
    """A second port, for probes and metrics alone; the first then has no metrics. 0: all on one port."""
    workers: int = 1
    """Processes, each with a session of its own. The default follows the CPUs this process may use, two at most:
    more replicas are the cluster's business."""
    model_workers: int = 1
    """Threads of one worker that compute predictions which are not quick. Probes have threads of their own."""
    model_threads: int = 1
    """Threads that ONNX Runtime uses inside one request. The default is every CPU: a lone request gets them all, and
    under load the threads of the workers share them."""
    model_seconds: float = 30.0
    """An inference that takes longer is cut, and counted."""
    queue_seconds: float = 10.0
    """A request that has waited longer for a thread is not computed; one that would wait half as long gets 503 at
    once."""
    max_body_bytes: int = 16 * 1024 * 1024
    """A larger body is refused with 413 before it is read."""
    max_batch: int = 256
    """Pictures or rows in one request."""
    max_pixels: int = 24_000_000
    """Pixels of the pictures in one request together: a small file can claim a huge one."""
    max_connections: int = 1024
    """Of one worker. Past that the longest idle one is closed; if none is idle, the newest gets 503."""
    max_held_bytes: int = 256 * 1024 * 1024
    """Of one worker: bodies that have come and are not answered yet. Past that, 503."""
    max_unsent_bytes: int = 64 * 1024 * 1024
    """Of one worker: answers that their clients do not take. Past that, those who have been taking the longest are
    cut."""
    head_seconds: float = 10.0
    """Time in which a request's head must arrive, or 408."""
    body_seconds: float = 30.0
    """Time in which a whole request must arrive, or 408."""
    send_seconds: float = 30.0
    """Time in which an answer must be taken, and a second more for each 64 KiB of it; then its client is cut."""
    idle_seconds: float = 75.0
    """A kept connection without a request is closed after so long."""
    max_connection_age_seconds: float = 45.0
    """An answer on a connection that is older, or up to a quarter younger, is its last: its client comes back to the
    release that is in use now. 0: never, behind a gateway that chooses for each request."""
    hang_seconds: float = 20.0
    """A worker whose loop has not turned for so long is killed and replaced."""
    record_requests: int = 0
    """So many of the last answered predictions are kept in memory, their inputs and labels alone, and told on the port
    for probes. 0: none."""
    record_omit: tuple[str, ...] = ()
    """Inputs that are never kept."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may ask and read answers, or `*` alone: pages of every origin. None by default."""
    access_log: bool = False
    """Log every request, not only those that fail with 5xx."""
    drain_seconds: float = 2.0
    """After SIGTERM: time in which requests are still answered, with `Connection: close`, and /readyz says 503.
    Clients with open connections leave in this time instead of finding them cut."""
    stop_seconds: int = 20
    """Then: time in which requests in flight may finish before their worker is killed."""


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from `SERVING_…` variables.

    Raises:
        StartError: a variable that is not a number of the kind wanted, or none of ours; it names the variable.
    """
    _refuse_unknown(environ)
    cpus = usable_cpus()
    workers = _number(environ, "SERVING_WORKERS", min(2, cpus), low=1)
    base = Settings()
    return Settings(
        model_dir=Path(environ.get("SERVING_MODEL_DIR") or base.model_dir),
        host=environ.get("SERVING_HOST") or base.host,
        port=_number(environ, "SERVING_PORT", base.port, low=1, high=65535),
        status_port=_number(environ, "SERVING_STATUS_PORT", base.status_port, low=0, high=65535),
        workers=workers,
        model_workers=_number(environ, "SERVING_MODEL_WORKERS", max(1, cpus // workers), low=1),
        model_threads=_number(environ, "SERVING_MODEL_THREADS", cpus, low=1),
        model_seconds=_number(environ, "SERVING_MODEL_MS", int(base.model_seconds * 1000), low=1) / 1000,
        queue_seconds=_number(environ, "SERVING_QUEUE_MS", int(base.queue_seconds * 1000), low=1) / 1000,
        max_body_bytes=_number(environ, "SERVING_MAX_BODY_BYTES", base.max_body_bytes, low=1),
        max_batch=_number(environ, "SERVING_MAX_BATCH", base.max_batch, low=1),
        max_pixels=_number(environ, "SERVING_MAX_PIXELS", base.max_pixels, low=1),
        max_connections=_number(environ, "SERVING_MAX_CONNECTIONS", base.max_connections, low=1),
        max_held_bytes=_number(environ, "SERVING_MAX_HELD_BYTES", base.max_held_bytes, low=1),
        max_unsent_bytes=_number(environ, "SERVING_MAX_UNSENT_BYTES", base.max_unsent_bytes, low=1),
        head_seconds=_number(environ, "SERVING_HEAD_MS", int(base.head_seconds * 1000), low=1) / 1000,
        body_seconds=_number(environ, "SERVING_BODY_MS", int(base.body_seconds * 1000), low=1) / 1000,
        send_seconds=_number(environ, "SERVING_SEND_MS", int(base.send_seconds * 1000), low=1) / 1000,
        idle_seconds=_number(environ, "SERVING_IDLE_MS", int(base.idle_seconds * 1000), low=1) / 1000,
        max_connection_age_seconds=_number(
            environ, "SERVING_MAX_CONNECTION_AGE_MS", int(base.max_connection_age_seconds * 1000), low=0
        )
        / 1000,
        hang_seconds=_number(environ, "SERVING_HANG_MS", int(base.hang_seconds * 1000), low=1000) / 1000,
        record_requests=_number(environ, "SERVING_RECORD_REQUESTS", 0, low=0, high=MOST_RECORDED),
        record_omit=_names(environ.get("SERVING_RECORD_OMIT", "")),
        cors_origins=_origins(environ, "SERVING_CORS_ORIGINS"),
        access_log=bool(_number(environ, "SERVING_ACCESS_LOG", 0, low=0, high=1)),
        drain_seconds=_number(environ, "SERVING_DRAIN_MS", int(base.drain_seconds * 1000), low=0) / 1000,
        stop_seconds=_number(environ, "SERVING_STOP_SECONDS", base.stop_seconds, low=1),
    )


def variable(field: str) -> str:
    """Return the variable of one of Settings' fields."""
    if field.endswith("_seconds") and field != "stop_seconds":
        field = field.removesuffix("_seconds") + "_ms"
    return f"SERVING_{field.upper()}"


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = [variable(field.name) for field in dataclasses.fields(Settings)]
    for name in environ:
        if name.startswith("SERVING_") and name not in known:
            near = difflib.get_close_matches(name, known, 1, cutoff=0.8)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise StartError(f"{name} is not a setting; {hint}")


def _origins(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    origins = _names(environ.get(name, ""))
    for origin in origins:
        if not ORIGIN.fullmatch(origin) and origins != (ANY,):
            raise StartError(
                f"{name} holds {origin[:80]!r}; give origins as browsers name them, as https://app.example.org, "
                "with commas between them, or * alone"
            )
    return origins


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _number(environ: Mapping[str, str], name: str, default: int, *, low: int, high: int = 2**31) -> int:
    text = environ.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise StartError(f"{name} is {text!r}; give a whole number from {low} to {high}, or leave it out for {default}")
    return int(text)
