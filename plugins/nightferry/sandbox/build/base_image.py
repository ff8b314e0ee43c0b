"""The base of all images: the public Python image where it can be pulled, else one made from apt's packages."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

from nightferry.errors import NightferryError
from nightferry.sandbox.build import bootstrap
from nightferry.sandbox.build.buildkit import Buildkit, staged
from nightferry.sandbox.progress import Progress

PUBLIC = (
    "docker.io/library/python:3.11-slim-bookworm"
    "@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b"
)
PUBLIC_REGISTRY = "https://registry-1.docker.io/v2/"
REACH_SECONDS = 5.0
PULL_SECONDS = 180.0
REPOSITORY = "nightferry/base"
PUBLIC_TAG = "public-" + PUBLIC.rpartition(":")[2][:12]


def ensure(progress: Progress, root: Path, logs: Path, builder: Buildkit) -> str:
    """The base image in the registry, by digest: the one that is there, else the public one, else one made here.

    Raises:
        StepFailed: none can be made here.
        NightferryError: as ImageBuilder and ImageRegistry.
    """
    tags = (PUBLIC_TAG, bootstrap.tag(bootstrap.own_codename()))
    found = next((image for image in (builder.find(REPOSITORY, tag) for tag in tags) if image), None)
    image = found or _pulled(progress, logs, builder)
    return image or made(progress, root, logs, builder, bootstrap.own_codename())


def prefetch(progress: Progress, logs: Path) -> None:
    """Do early, beside other work, what `ensure` needs no registry for: make the base where none can be pulled."""
    if not reachable(PUBLIC_REGISTRY):
        bootstrap.tarball(progress, logs, bootstrap.own_codename())


def reachable(registry: str) -> bool:
    """Whether an image registry answers as one within seconds."""
    try:
        with urllib.request.urlopen(registry, timeout=REACH_SECONDS):  # noqa: S310 a constant https address
            return True
    except urllib.error.HTTPError as answer:
        # Without credentials a registry says so; a proxy that lets nothing through says something else.
        return answer.code == 401
    except OSError:
        return False


def _pulled(progress: Progress, logs: Path, builder: Buildkit) -> str | None:
    if not reachable(PUBLIC_REGISTRY):
        return None
    log = logs / "pull-base-image.log"
    with staged({}) as context:
        (context / "Dockerfile").write_text(f"FROM {PUBLIC} AS image\n", encoding="utf-8")
        try:
            with progress.step("pull the base image", expected=20):
                return builder.build(context, REPOSITORY, PUBLIC_TAG, log, timeout=PULL_SECONDS)
        except NightferryError as error:
            progress.say(f"  {error.sentence} Making one instead.")
            return None


def made(progress: Progress, root: Path, logs: Path, builder: Buildkit, codename: str) -> str:
    """The base image made here of a distribution's packages, in the registry, by digest.

    Raises:
        StepFailed: it cannot be made here.
        NightferryError: as ImageBuilder.
    """
    tar, log = bootstrap.tarball(progress, logs, codename) / "base.tar", logs / f"build-base-image-{codename}.log"
    files = {"Dockerfile": root / "docker" / "base" / "Dockerfile", "base.tar": tar}
    with progress.step(f"build the base image of {codename}", log=log, expected=15), staged(files) as context:
        return builder.build(context, REPOSITORY, bootstrap.tag(codename), log)
