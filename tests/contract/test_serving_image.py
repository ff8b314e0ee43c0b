"""What is in the image of a service besides the service: the image is built and looked into."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest
from nightferry import settings
from nightferry.clients import connect
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.errors import Permanent

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).parents[2]
LOOK = """\
ARG BASE_IMAGE
ARG IMAGE
FROM ${IMAGE} AS looked_into
FROM ${BASE_IMAGE} AS looking
WORKDIR /looked
RUN --mount=from=looked_into,target=/looked find usr/bin/python3 usr/local/bin/python3 | grep -q python3
RUN --mount=from=looked_into,target=/looked \\
    find bin/ sbin/ usr/bin usr/sbin usr/local/bin usr/local/sbin ! -type d ! -name 'python3*' > /found; \\
    find . -xdev ! -type d \\( -name 'perl*' -o -name 'apt*' -o -name '*.sh' -o -perm /6000 \\) >> /found; \\
    cat /found; test ! -s /found
RUN --mount=from=looked_into,target=/looked chroot /looked \\
    python3 -c 'import locale; locale.setlocale(locale.LC_ALL, "en_US.UTF-8")'
"""


def look(image: str, dockerfile: str, folder: Path) -> None:
    """Build what only builds if the image is as it should be: LOOK finds no program in it but Python."""
    here = settings.load()
    (folder / "Dockerfile").write_text(dockerfile)
    arguments = {"BASE_IMAGE": here.require("BASE_IMAGE"), "IMAGE": image}
    connect.builder(here).build(BuildRequest(folder / "Dockerfile", "looking", {}, arguments), folder / "build.log")


def build(folder: Path) -> str:
    """Build the image of the service's own app, and no model; the image."""
    here = settings.load()
    app, nothing = folder / "app", folder / "nothing"
    shutil.copytree(ROOT / "serving_app", app, ignore=shutil.ignore_patterns("__pycache__"))
    nothing.mkdir()
    made = connect.builder(here).build(
        BuildRequest(
            ROOT / "docker/serving/Dockerfile",
            "serving",
            {"app": app, "tests": nothing, "model": nothing},
            {"BASE_IMAGE": here.require("BASE_IMAGE")},
            push=(f"{here.require('REGISTRY')}/test-{uuid.uuid4().hex[:12]}:one",),
        ),
        folder / "build.log",
    )
    return str(made)


def test_a_service_has_no_shell_and_no_program_but_python(tmp_path: Path):
    look(build(tmp_path), LOOK, tmp_path)


def test_that_look_finds_them_in_the_base(tmp_path: Path):
    with pytest.raises(Permanent):
        look(settings.load().require("BASE_IMAGE"), LOOK, tmp_path)
