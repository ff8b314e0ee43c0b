"""Running the machine's own tools (ip, iptables, mount): short, checked, with their words in the error."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""A plain user's PATH often lacks the sbin folders, where these tools are."""


def search_path() -> str:
    """PATH and the system folders."""
    return f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}".lstrip(":")


def find(program: str) -> str | None:
    """The path of a program, or None."""
    return shutil.which(program, path=search_path())


def require(program: str, package: str) -> str:
    """The path of a program.

    Raises:
        Permanent: (sandbox_failed) it is not installed; the sentence names the package.
    """
    found = find(program)
    if found is None:
        sentence = f"The program {program} is missing: install the package {package} (`nightferry up` as root does)."
        raise Permanent(Reason.SANDBOX_FAILED, sentence)
    return found


def run(command: Sequence[str], *, give: str | None = None, seconds: float = 30) -> str:
    """Run a command and return what it printed.

    Raises:
        Permanent: (sandbox_failed) it is missing, ended with an error, or did not end.
    """
    try:
        done = subprocess.run(
            command,
            input=give,
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds,
            env={**os.environ, "PATH": search_path(), "LC_ALL": "C"},
        )
    except subprocess.CalledProcessError as cause:
        said = (cause.stderr or cause.stdout).strip() or f"code {cause.returncode}"
        raise Permanent(Reason.SANDBOX_FAILED, f"`{' '.join(command)}` failed: {said}") from cause
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise Permanent(Reason.SANDBOX_FAILED, f"`{' '.join(command)}` failed: {cause}") from cause
    return done.stdout


def succeeds(command: Sequence[str]) -> bool:
    """Whether a command ends with 0."""
    try:
        run(command)
    except Permanent:
        return False
    return True
