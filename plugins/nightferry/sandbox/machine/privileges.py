"""The sandbox is run by root: it makes a bridge and containers. A plain user's command goes on by way of sudo."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox.machine import commands
from nightferry.sandbox.machine.environment import PASSED


def ensure_root(arguments: Sequence[str]) -> None:
    """Return where this process is root; else become `sudo nightferry <arguments>`, which does not return.

    Raises:
        Permanent: (sandbox_failed) there is no sudo.
    """
    if os.geteuid() == 0:
        return
    sudo = commands.find("sudo")
    if sudo is None:
        raise Permanent(Reason.SANDBOX_FAILED, "The sandbox needs root, and this machine has no sudo: run it as root.")
    sys.stdout.flush()
    os.execv(sudo, sudo_command(sudo, arguments, os.environ))  # noqa: S606 a fixed list of words, no shell wanted


def sudo_command(sudo: str, arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The command with what sudo would drop: our settings, the way to the network, the caller's PATH and cache."""
    kept = sorted(
        name for name in environment if name.startswith("NIGHTFERRY_") or name in PASSED | {"NO_PROXY", "no_proxy"}
    )
    given = [f"{name}={environment[name]}" for name in ("PATH", "HOME", "TERM", "NO_COLOR") if name in environment]
    # Root's own caches for the installers, and no bytecode: no file of root's may land among the user's.
    given += ["npm_config_cache=/root/.npm", "PIP_CACHE_DIR=/root/.cache/pip", "PYTHONDONTWRITEBYTECODE=1"]
    program = Path(sys.executable).with_name("nightferry")
    return [sudo, f"--preserve-env={','.join(kept)}", "--", "env", *given, str(program), *arguments]


def as_user(name: str) -> list[str]:
    """The words before a command that make it that user's process; none where this process is."""
    user = pwd.getpwnam(name)
    if os.geteuid() == user.pw_uid:
        return []
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--"]
