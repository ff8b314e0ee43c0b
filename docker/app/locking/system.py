"""The distribution's packages: what an app's `system:` brings, and the installing of exactly these versions."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from locking.fault import RENEW, Fault
from locking.run import apt

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_INSTALLED = re.compile(r"^Inst (?P<name>\S+) (?:\[[^\]]*\] )?\((?P<version>\S+) ", re.MULTILINE)
_UNKNOWN = re.compile(
    r"E: (?:Unable to locate package (?P<a>\S+)|Package '(?P<b>[^']+)' has no installation candidate"
    r"|Couldn't find any package by [^\n]*'(?P<c>[^']+)')"
)
_GONE = re.compile(r"E: Version '(?P<version>[^']+)' for '(?P<name>[^']+)' was not found")
_UNMET = re.compile(r"^ (\S+ : (?:Depends|Conflicts|Breaks)[^\n]*)", re.MULTILINE)
QUIET = ("--yes", "--no-install-recommends")
LEFT_BEHIND = ("var/cache", "var/log", "var/lib/apt/lists")
"""Folders, of which the files go: they differ each time, or are of use while packages are installed."""


def closure(names: Sequence[str]) -> dict[str, str]:
    """The packages that installing these would bring to the base, and their versions.

    Raises:
        Fault: a name is not one, or no package's; the archive does not answer.
    """
    if not names:
        return {}
    for name in names:
        if not _NAME.fullmatch(name):
            raise Fault(f"nightferry.yaml: system: {name} is not the name of a package, as libgomp1.")
    update()
    done = apt(["install", "--simulate", *QUIET, *names])
    if done.code != 0:
        raise _refusal(done.output)
    return parse(done.output)


def parse(simulated: str) -> dict[str, str]:
    """What `apt-get install --simulate` said it would install."""
    found = {match["name"]: match["version"] for match in _INSTALLED.finditer(simulated)}
    return dict(sorted(found.items()))


def update() -> None:
    """Read what the archive has. Raises Fault: it does not answer; there is no apt."""
    if shutil.which("apt-get") is None:
        raise Fault("The base image has no apt-get, so it takes no packages under `system:`; take base: debian-12.")
    if apt(["update"]).code != 0:
        raise Fault("The archive of the distribution's packages did not answer.", temporary=True)


def install_tools(names: Sequence[str]) -> None:
    """Install what source distributions are built with, and the app's own packages. Raises Fault."""
    update()
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    wanted = ["build-essential", *([] if headers.is_file() else ["python3-dev"]), *names]
    done = apt(["install", *QUIET, *wanted])
    if done.code != 0:
        raise _refusal(done.output)


def install_locked(versions: Mapping[str, str]) -> None:
    """Install the lock's packages, at its versions, and leave nothing else behind.

    Raises:
        Fault: the archive has them no longer, or does not answer.
    """
    if not versions:
        return
    update()
    done = apt(["install", *QUIET, *(f"{name}={version}" for name, version in sorted(versions.items()))])
    if done.code != 0:
        raise _gone(done.output, versions)
    for name, version in versions.items():
        asked = ["dpkg-query", "--show", "--showformat=${Version}", name]
        has = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
        if has != version:
            raise Fault(f"apt installed {name} {has}, and the lock says {version}; {RENEW}")
    clean(Path("/"))


def clean(root: Path) -> None:
    """Remove lists, logs and caches of the installing, and the copies that dpkg and debconf keep of their files."""
    for folder in LEFT_BEHIND:
        for path in (root / folder).rglob("*"):
            if path.is_symlink() or not path.is_dir():
                path.unlink()
    for pattern in ("var/lib/dpkg/*-old", "var/lib/dpkg/lock*", "var/lib/dpkg/triggers/Lock", "etc/*-"):
        for path in root.glob(pattern):
            path.unlink()


def _refusal(output: str) -> Fault:
    unknown = _UNKNOWN.search(output)
    if unknown:
        name = next(part for part in unknown.groups() if part)
        return Fault(
            f"nightferry.yaml: system: the base's distribution has no package {name}: correct the name, which "
            "`apt-cache search` finds."
        )
    if "Failed to fetch" in output:
        return Fault("The archive of the distribution's packages did not answer.", temporary=True)
    unmet = "; ".join(" ".join(line.split()) for line in _UNMET.findall(output))
    errors = [line[2:].strip() for line in output.splitlines() if line.startswith("E:")]
    return Fault(f"nightferry.yaml: system: these packages cannot be installed: {unmet or ' '.join(errors)}.")


def _gone(output: str, versions: Mapping[str, str]) -> Fault:
    gone = _GONE.search(output)
    if gone:
        return Fault(f"The distribution has no {gone['name']} {gone['version']} any longer; {RENEW}")
    unknown = _UNKNOWN.search(output)
    if unknown:
        name = next(part for part in unknown.groups() if part)
        return Fault(f"The distribution has no {name} {versions.get(name, '')} any longer; {RENEW}")
    return _refusal(output)
