"""Serve an app in its image, as production does: built by BuildKit, read-only, not root, on a port of loopback."""

from __future__ import annotations

import re
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from nightferry import settings as settings_of
from nightferry.cli.apps.served import Served, free_port, refuse_taken
from nightferry.cli.apps.staged import Model
from nightferry.clients import connect
from nightferry.clients.doors.container_runner import ContainerRunner
from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.variables import variables
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.service_file.quantity import memory
from nightferry.entities.service_spec import Environment
from nightferry.settings import Settings
from nightferry.steps.app.lock_app import Asked, resolve_lock
from nightferry.steps.app.pin_app import base_image, bases_of, extra_packages
from nightferry.steps.image.check_image import check_start
from nightferry.steps.image.request import app_request

LAST_LINES = 40


@contextmanager
def served_in_image(contract: AppContract, folder: Path, model: Model, wanted: int | None) -> Iterator[Served]:
    """The app of `folder/app` with the model of `folder/model`, until the block ends; its image is called as `folder`.

    Raises:
        Permanent, Temporary: as `build_image` and `start_candidate`.
    """
    port = wanted or free_port(contract.port)
    refuse_taken(port, "name another one with --port")
    settings = settings_of.load()
    runner, name = connect.container_runner(settings), f"nf-run-{uuid.uuid4().hex[:12]}"
    print("Building the image…", file=sys.stderr)
    image = _built(settings, contract, folder, model)
    production = Environment(name="production", namespace="production")
    limit = memory(production.resources.memory_limit)
    given = variables(contract, production)
    try:
        runner.start(image, name, given, limit, scratch=memory(contract.scratch), ports={port: contract.port})
        yield Served(
            f"http://127.0.0.1:{port}",
            lambda: runner.logs(name, LAST_LINES),
            lambda: _wait(runner, name),
            lambda: not _runs(runner, name),
        )
    finally:
        runner.remove(name)


def _wait(runner: ContainerRunner, name: str) -> None:
    while _runs(runner, name):
        time.sleep(1)


def _runs(runner: ContainerRunner, name: str) -> bool:
    state = runner.state(name)
    return state is not None and state.running


def _built(settings: Settings, contract: AppContract, folder: Path, model: Model) -> ImageRef:
    repository = f"{settings.require('REGISTRY')}/app-run/{folder.name}"
    builder, log = connect.builder(settings), settings.work / "logs" / "app-run.log"
    base = base_image(contract, bases_of(settings))
    (folder / "lock").mkdir()
    if contract.dockerfile is None:
        asked = Asked(folder / "app", contract, base, extra_packages(contract), settings.root, log.parent)
        resolve_lock(asked, builder, folder / "lock")
    contexts = {name: folder / name for name in ("app", "model", "tests")}
    contexts["tests"].mkdir()
    request = app_request(contract, base, contexts, folder, settings.root, model.model, model.files)
    image = builder.build(replace(request, push=(f"{repository}:latest",)), log)
    if image is None:
        raise RuntimeError("the builder pushed an image and did not say which")
    check_start(image, contract, connect.registry(settings))
    return image


def plain(name: str) -> str:
    """A name that an image's repository may have."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:60].strip("-") or "app"
