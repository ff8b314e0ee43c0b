"""The model opened before the fork, where that is safe: the workers then have its memory in common, and a new worker
needs no time to open it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from flask import Flask

from serving_app.app import create_app
from serving_app.model import model_dir
from serving_app.runtime import heap
from serving_app.runtime.kept import Shelves
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.runtime.metrics import Metrics
from serving_app.service import THREADED
from serving_app.settings import Settings

LARGE = 64 * 1024 * 1024
"""Bytes of a model that is not opened just to find out how long it takes."""


def open_app(config: Settings, lifecycle: Lifecycle, metrics: Metrics, kept: Shelves | None = None) -> Flask | None:
    """Return the app for all workers, or None if each must open the model itself: ONNX Runtime's threads do not live on
    in a fork, so only a model that is computed by its caller's thread alone can be shared.

    Raises:
        StartError: the model cannot start.
    """
    model = model_dir.read(config.model_dir)
    size = sum(file.stat().st_size for file in model.path.iterdir() if file.is_file())
    if config.model_threads > 1 and size > LARGE:
        return None
    before = _threads()
    app = create_app(dataclasses.replace(config, model_threads=1), lifecycle, metrics, kept=kept)
    slow = app.extensions["serving"].service.seconds > THREADED
    if not before or _threads() != before or (slow and config.model_threads > 1):
        return None
    heap.settle()
    return app


def _threads() -> int:
    """How many this process has; 0 where the system does not say."""
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:
        return 0
