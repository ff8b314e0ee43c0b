"""The base of all images: the public Python image where it can be pulled, else one made from apt's packages.

Making one needs nothing but the package mirror that apt uses already. It is made once per machine and kept as a file.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

from nightferry.clients.buildkit.builder import EPOCH
from nightferry.errors import NightferryError
from nightferry.sandbox.build import cache
from nightferry.sandbox.build.buildkit import Buildkit, staged
from nightferry.sandbox.machine import packages
from nightferry.sandbox.progress import Progress, run_logged

PUBLIC = (
    "docker.io/library/python:3.11-slim-bookworm"
    "@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b"
)
PUBLIC_REGISTRY = "https://registry-1.docker.io/v2/"
REACH_SECONDS = 5.0
PULL_SECONDS = 180.0
REPOSITORY = "nightferry/base"
PUBLIC_TAG = "public-" + PUBLIC.rpartition(":")[2][:12]

OLD_PYTHON = {"jammy": "python3.11"}
"""Distributions whose own python3 is older than 3.11, and the package that is not."""
LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")


def ensure(progress: Progress, root: Path, logs: Path, builder: Buildkit) -> str:
    """The base image in the registry, by digest: the one that is there, else the public one, else one made here.

    Raises:
        StepFailed: none can be made here.
        NightferryError: as ImageBuilder and ImageRegistry.
    """
    tags = (PUBLIC_TAG, _distribution_tag())
    found = next((image for image in (builder.find(REPOSITORY, tag) for tag in tags) if image), None)
    return found or _pulled(progress, logs, builder) or _made(progress, root, logs, builder)


def prefetch(progress: Progress, logs: Path) -> None:
    """Do early, beside other work, what `ensure` needs no registry for: make the base where none can be pulled."""
    if not reachable(PUBLIC_REGISTRY):
        tarball(progress, logs)


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


def tarball(progress: Progress, logs: Path) -> Path:
    """The folder that holds `base.tar`, the root file system made from this distribution's packages."""
    name = f"base-{_distribution_tag()}"
    if not (cache.cache_folder() / name).is_dir():
        packages.ensure(progress, logs, packages.BASE_IMAGE)
        log = logs / "make-base-image.log"
        with progress.step("make a base image from the distribution's packages", log=log, expected=35):
            cache.kept(name, partial(_bootstrap, log))
    return cache.cache_folder() / name


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


def _made(progress: Progress, root: Path, logs: Path, builder: Buildkit) -> str:
    made, log = tarball(progress, logs) / "base.tar", logs / "build-base-image.log"
    files = {"Dockerfile": root / "docker" / "base" / "Dockerfile", "base.tar": made}
    with progress.step("build the base image", log=log, expected=15), staged(files) as context:
        return builder.build(context, REPOSITORY, _distribution_tag(), log)


def _bootstrap(log: Path, folder: Path) -> None:
    codename = _codename()
    sources = folder / "sources.list"
    sources.write_text(_sources(codename), encoding="utf-8")
    # /var/tmp: /tmp may be a small disk in memory, and apt's own user cannot enter a home.
    settings = [f"SOURCE_DATE_EPOCH={EPOCH}", "TMPDIR=/var/tmp"]
    command: list[str | Path] = ["env", *settings, "mmdebstrap", *_recipe(codename)]
    options = [f"--aptopt={option}" for option in _proxies()]
    whole = [*command, *options, codename, folder / "base.tar", sources]
    run_logged(packages.as_root(whole), log, timeout=900, name="mmdebstrap")
    sources.unlink()


def _recipe(codename: str) -> list[str]:
    """What decides the content, as words for mmdebstrap."""
    python = OLD_PYTHON.get(codename, "python3")
    words = ["--mode=root", "--variant=minbase", "--format=tar", "--skip=output/dev,output/mknod"]
    words += [f"--include=ca-certificates,{python},{python}-venv"]
    words += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    words += ["--dpkgopt=path-include=/usr/share/doc/*/copyright"]
    if python != "python3":
        words += [f'--customize-hook=ln -sf {python} "$1"/usr/bin/python3']
    # What Python compiled beforehand counts by content: time stamps are made equal, and would make it worthless.
    compiled = f'chroot "$1" {python} -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3* || true'
    words += [f"--customize-hook={compiled}"]
    # Written while installing, different each time or only of use on a machine that is kept up to date.
    return [*words, '--customize-hook=rm -rf "$1"/var/cache/* "$1"/var/log/* "$1"/var/lib/apt/lists/*']


def _sources(codename: str) -> str:
    """The distribution's own package sources as apt is set up to use them here, one line each."""
    form = "$(ORIGIN)|$(RELEASE)|$(REPO_URI)|$(COMPONENT)"
    listed = _output(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    lines = []
    for origin, release, address, component in (line.split("|") for line in listed.splitlines()):
        free = component in {"main", "universe"}
        if free and origin in {"Debian", "Ubuntu"} and re.fullmatch(rf"{codename}(-updates|-security)?", release):
            lines.append(f"deb {address} {release} {component}")
    return "\n".join([*dict.fromkeys(lines), ""])


def _proxies() -> list[str]:
    """apt's own proxy and certificate settings, which the new root file system's apt does not read."""
    listed = _output(["apt-config", "dump"])
    return re.findall(r'^Acquire::https?::(?:Proxy|CAInfo)(?:::\S+)? "[^"]+";$', listed, re.MULTILINE)


def _distribution_tag() -> str:
    codename = _codename()
    return f"{codename}-{cache.fingerprint(Path(), [], platform.machine(), EPOCH, *_recipe(codename))}"


def _codename() -> str:
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "unknown")


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=os.environ).stdout
