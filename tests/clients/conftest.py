"""Services for public clients to talk to, as production runs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving_app import models
from tests.serving_app.running import Service


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A model that calls a picture of four pixels dark, middling or light."""
    yield from _serve(models.write_shades(tmp_path_factory.mktemp("shades") / "m"))


@pytest.fixture(scope="module")
def total(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A model of two inputs, a (FP32) and b (INT64), that adds them."""
    yield from _serve(models.write_sum(tmp_path_factory.mktemp("sum") / "m"))


def _serve(folder: Path) -> Iterator[Service]:
    service = Service(folder, {})
    try:
        yield service.wait_ready()
    finally:
        service.kill()
