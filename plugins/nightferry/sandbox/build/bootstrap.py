"""A Debian or Ubuntu as one file: its root file system with Python, made from the distribution's packages.

What it is made from are the package mirrors that apt uses here already. It is made once per machine and kept as a file.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import partial
from pathlib import Path

from nightferry.clients.buildkit.builder import EPOCH
from nightferry.sandbox.build import cache
from nightferry.sandbox.machine import packages
from nightferry.sandbox.progress import Progress, run_logged

DEBIAN_13 = "trixie"
REACH_SECONDS = 10
"""How long a package archive may be silent."""
OLD_PYTHON = {"jammy": "python3.11"}
"""Distributions whose own python3 is older than 3.11, and the package that is not."""
LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")


def tarball(progress: Progress, logs: Path, codename: str) -> Path:
    """The folder that holds `base.tar`, the root file system of that distribution.

    Raises:
        StepFailed: it cannot be made here.
    """
    name = f"base-{tag(codename)}"
    if not kept(codename):
        packages.ensure(progress, logs, packages.BASE_IMAGE)
        if codename == DEBIAN_13:
            packages.ensure(progress, logs, packages.DEBIAN_KEYRING)
        log = logs / f"make-base-image-{codename}.log"
        with progress.step(f"make a base image from {codename}'s packages", log=log, expected=35):
            cache.kept(name, partial(_bootstrap, codename, log))
    return cache.cache_folder() / name


def kept(codename: str) -> bool:
    """Whether it was made before."""
    return (cache.cache_folder() / f"base-{tag(codename)}").is_dir()


def tag(codename: str) -> str:
    """What names the result: the distribution, and all that decides its content but the packages' versions."""
    return f"{codename}-{cache.fingerprint(Path(), [], platform.machine(), EPOCH, *_recipe(codename))}"


def own_codename() -> str:
    """This machine's distribution."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "unknown")


def sources(codename: str) -> list[str]:
    """Where a distribution's packages are, as lines for apt: this machine's own from the mirrors that apt is set up to
    use here, another Debian from the same ones. None where apt knows none of Debian: then mmdebstrap takes its own
    default, Debian's public archive, whose package lists are signed."""
    own = own_codename()
    form = "$(ORIGIN)|$(RELEASE)|$(REPO_URI)|$(COMPONENT)"
    listed = _output(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    origins = {"Debian", "Ubuntu"} if codename == own else {"Debian"}
    lines = []
    for origin, release, address, component in (line.split("|") for line in listed.splitlines()):
        part = re.fullmatch(rf"{own}(-updates|-security)?", release)
        if part and origin in origins and component in {"main", "universe"}:
            lines.append(f"deb {address} {codename}{part[1] or ''} {component}")
    return list(dict.fromkeys(lines))


def _bootstrap(codename: str, log: Path, folder: Path) -> None:
    listed = folder / "sources.list"
    lines = sources(codename)
    listed.write_text("\n".join([*lines, ""]), encoding="utf-8")
    # /var/tmp: /tmp may be a small disk in memory, and apt's own user cannot enter a home.
    settings = [f"SOURCE_DATE_EPOCH={EPOCH}", "TMPDIR=/var/tmp"]
    command: list[str | Path] = ["env", *settings, "mmdebstrap", *_recipe(codename)]
    options = [f"--aptopt={option}" for option in _proxies()]
    if not lines:  # nobody asked whether that archive answers, and apt need not know Debian's keys
        silence = [f'Acquire::{scheme}::Timeout "{REACH_SECONDS}";' for scheme in ("http", "https")]
        options += [*(f"--aptopt={option}" for option in silence), f"--keyring={packages.DEBIAN_KEYS}"]
    whole = [*command, *options, codename, folder / "base.tar", *([listed] if lines else [])]
    run_logged(packages.as_root(whole), log, timeout=900, name="mmdebstrap")
    listed.unlink()


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


def _proxies() -> list[str]:
    """apt's own proxy and certificate settings, which the new root file system's apt does not read."""
    listed = _output(["apt-config", "dump"])
    return re.findall(r'^Acquire::https?::(?:Proxy|CAInfo)(?:::\S+)? "[^"]+";$', listed, re.MULTILINE)


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=os.environ).stdout
