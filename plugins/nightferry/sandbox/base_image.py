"""The base of all images: the public Python image where it can be pulled, else one made from apt's packages.

Making one needs nothing but the package mirror that apt uses already. It is made once per machine and kept as a file.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tempfile
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

from nightferry.sandbox import cache, packages
from nightferry.sandbox.buildkit import EPOCH, Buildkit, Recipe
from nightferry.sandbox.progress import Progress, StepFailed, run_logged

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
        StepFailed: neither can be had.
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
    with tempfile.TemporaryDirectory(prefix="nightferry-base-") as folder:
        Path(folder, "Dockerfile").write_text(f"FROM {PUBLIC}\n", encoding="utf-8")
        recipe = Recipe(Path(folder), Path(folder))
        try:
            with progress.step("pull the base image", expected=20):
                return builder.build(recipe, REPOSITORY, PUBLIC_TAG, log, timeout=PULL_SECONDS)
        except StepFailed:
            progress.say("  the public base image cannot be pulled; making one instead")
            return None


def _made(progress: Progress, root: Path, logs: Path, builder: Buildkit) -> str:
    recipe = Recipe(root / "docker" / "base", tarball(progress, logs))
    log = logs / "push-base-image.log"
    with progress.step("push the base image", log=log, expected=10):
        return builder.build(recipe, REPOSITORY, _distribution_tag(), log)


def _bootstrap(log: Path, folder: Path) -> None:
    codename = _codename()
    python = OLD_PYTHON.get(codename, "python3")
    command: list[str | Path] = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar"]
    command += ["--skip=output/dev,output/mknod", f"--include=ca-certificates,{python},{python}-venv"]
    for pattern in LEFT_OUT:
        command.append(f"--dpkgopt=path-exclude={pattern}")
    command.append("--dpkgopt=path-include=/usr/share/doc/*/copyright")
    for option in _proxies():
        command.append(f"--aptopt={option}")
    # What Python compiled beforehand counts by content: time stamps are made equal, and would make it worthless.
    compiled = f'chroot "$1" {python} -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3* || true'
    command.append(f"--customize-hook={compiled}")
    # Written while installing, different each time or only of use on a machine that is kept up to date.
    command.append('--customize-hook=rm -rf "$1"/var/cache/* "$1"/var/log/* "$1"/var/lib/apt/lists/*')
    if python != "python3":
        command.append(f'--customize-hook=ln -sf {python} "$1"/usr/bin/python3')
    sources = folder / "sources.list"
    sources.write_text(_sources(codename), encoding="utf-8")
    whole = ["env", f"SOURCE_DATE_EPOCH={EPOCH}", "TMPDIR=/var/tmp", *command, codename, folder / "base.tar", sources]
    run_logged(packages.as_root(whole), log, timeout=900, name="mmdebstrap")
    sources.unlink()


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
    recipe = [Path(__file__)]
    return f"{_codename()}-{cache.fingerprint(Path(__file__).parent, recipe, platform.machine())}"


def _codename() -> str:
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "unknown")


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=os.environ).stdout
