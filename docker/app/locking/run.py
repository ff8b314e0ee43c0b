"""Run pip and apt with what BuildKit hands over: certificates and pip's configuration, as secrets."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from locking.pip_words import failed_command

CA = Path("/run/secrets/ca")
PIP_CONFIG = Path("/run/secrets/pipconf")
PIP = "/build/bin/pip"
EPOCH = "315532800"
"""1980-01-01, the earliest that a wheel's zip knows."""
PRINTED = 400
"""Lines of a command's output that go into the log."""


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    output: str
    log: str = ""
    """pip's own log."""


def pip(words: list[str], folder: Path, python: str | None = None) -> Done:
    """Run pip.

    Args:
        words: after `pip`.
        folder: where relative paths begin.
        python: the environment it works on; None: its own.
    """
    with tempfile.TemporaryDirectory() as private:
        log = Path(private) / "pip.log"
        command = [PIP, "--disable-pip-version-check", "--no-input", "--no-color", "--log", str(log)]
        command += ["--python", python] if python else []
        done = run([*command, *words], folder, pip_environment())
        told = log.read_text(errors="replace") if log.is_file() else ""
        if done.code != 0:
            print("\n".join(failed_command(told)[-PRINTED:]), flush=True)
        return Done(done.code, done.output, told)


def pip_environment() -> dict[str, str]:
    """The variables that pip runs with."""
    found = {
        **os.environ,
        "SOURCE_DATE_EPOCH": EPOCH,
        "PYTHONHASHSEED": "0",
        "PIP_NO_CACHE_DIR": "1",
        "LC_ALL": "C.UTF-8",
    }
    found.pop("PYTHONPATH", None)
    if _given(CA):
        found |= {"PIP_CERT": str(CA), "SSL_CERT_FILE": str(CA), "REQUESTS_CA_BUNDLE": str(CA)}
    if _given(PIP_CONFIG):
        found["PIP_CONFIG_FILE"] = str(PIP_CONFIG)
    return found


def apt(words: list[str]) -> Done:
    """Run apt-get, without a question."""
    options = ["-qq", "-o", "APT::Update::Error-Mode=any", "-o", "Acquire::Retries=2", "-o", "Dpkg::Use-Pty=0"]
    if _given(CA):
        options += ["-o", f"Acquire::https::CAInfo={CA}"]
    proxy = re.search(r"^proxy\s*=\s*(\S+)", PIP_CONFIG.read_text(), re.MULTILINE) if _given(PIP_CONFIG) else None
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    if proxy:  # not as an option: what stands there can be read by all
        variables |= {"http_proxy": proxy[1], "https_proxy": proxy[1]}
    return run(["apt-get", *options, *words], Path("/"), variables)


def run(command: list[str], folder: Path, variables: Mapping[str, str]) -> Done:
    """Run a command, and print the end of what it said."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    print("\n".join(done.stdout.splitlines()[-PRINTED:]), flush=True)
    return Done(done.returncode, done.stdout)


def _given(secret: Path) -> bool:
    return secret.is_file() and secret.stat().st_size > 0
