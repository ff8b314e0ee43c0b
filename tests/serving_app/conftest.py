"""A tiny real model for every test, and the service as production runs it. Runs inside the image's test stage too, so
nothing here imports from the rest of the repository but serving_app."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from serving_app.app import create_app
from serving_app.settings import Settings
from tests.serving_app import models
from tests.serving_app.running import Service


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image has settings of its own, and a test that is about a missing one would start the service there."""
    for name in [name for name in os.environ if name.startswith("SERVING_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def picture_dir(tmp_path: Path) -> Path:
    """A model that calls a picture dark, middling or light."""
    return models.write_shades(tmp_path / "shades")


@pytest.fixture
def tensor_dir(tmp_path: Path) -> Path:
    """A model of two inputs that adds them."""
    return models.write_sum(tmp_path / "sum")


@pytest.fixture
def client(picture_dir: Path) -> FlaskClient:
    return create_app(
        Settings(model_dir=picture_dir, max_body_bytes=200_000, max_batch=8, max_pixels=100_000)
    ).test_client()


@pytest.fixture
def sum_client(tensor_dir: Path) -> FlaskClient:
    return create_app(Settings(model_dir=tensor_dir, max_batch=8)).test_client()


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    """Start services on free loopback ports; whatever still runs at the end is killed."""
    started: list[Service] = []

    def start(model_dir: Path, **environ: str) -> Service:
        service = Service(model_dir, environ)
        started.append(service)
        return service

    yield start
    for service in started:
        service.kill()
