"""Describe a model and publish it as it is described."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from nightferry.clients.clock import Clock
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.describing.describe import describe
from nightferry.steps.model.describing.said import Said
from nightferry.steps.model.describing.version_folder import Described
from nightferry.steps.model.publish_model import PublishedModel

Upload = Callable[[Path], PublishedModel]


def publish_described(
    path: Path,
    service: str,
    said: Said,
    models: ModelRepository,
    clock: Clock,
    upload: Upload,
    *,
    stock: bool = True,
) -> tuple[Described, PublishedModel]:
    """Describe and publish. Whoever publishes the same model, described in the same words, at the same moment, gets the
    version that was first.

    Args:
        path: as in `describe`; `service`, `said`, `clock` and `stock` likewise.
        models: the service's model repository.
        upload: publishes a version's folder.

    Raises:
        Permanent, Temporary: as `describe` and `publish_model`.
    """
    with tempfile.TemporaryDirectory(prefix="nightferry-model-") as scratch:
        for attempt in ("first", "again"):
            folder = Path(scratch) / attempt
            folder.mkdir()
            described = describe(path, service, said, models.listings(), clock, folder, stock=stock)
            try:
                return described, upload(folder)
            except Permanent as fault:
                if fault.reason != Reason.MODEL_EXISTS or said.version or attempt == "again":
                    raise
    raise AssertionError("the second attempt returns or raises")
