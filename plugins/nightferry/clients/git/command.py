"""Run git, without anything that could make it ask, page or obey the user's own settings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from nightferry.masking import mask

SECONDS = 300
"""How long one git command may take."""


class GitFault(Exception):
    """git failed; `said` is the line that tells why."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class Git:
    """git in one repository."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def words(self, *arguments: str) -> list[str]:
        """The command line. The repository may belong to someone else, as when a container reads a mounted one."""
        return ["git", "-c", f"safe.directory={self._folder}", "-C", str(self._folder), *arguments]

    def run(self, *arguments: str) -> str:
        """What git prints.

        Raises:
            GitFault: it failed, is not installed, or took too long.
        """
        try:
            done = subprocess.run(
                self.words(*arguments), env=environment(), capture_output=True, timeout=SECONDS, check=False
            )
        except FileNotFoundError as fault:
            raise GitFault("git is not installed here") from fault
        except subprocess.TimeoutExpired as fault:
            raise GitFault(f"git {arguments[0]} took longer than {SECONDS} seconds") from fault
        if done.returncode:
            raise GitFault(_cause(done.stderr) or f"git {arguments[0]} failed with {done.returncode}")
        return done.stdout.decode(errors="surrogateescape").strip()

    def quietly(self, *arguments: str) -> str | None:
        """What git prints, None when it fails."""
        try:
            return self.run(*arguments)
        except GitFault:
            return None


def environment() -> dict[str, str]:
    """git's environment: it never asks for a password, and speaks English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_SSH_COMMAND": kept.get("GIT_SSH_COMMAND", _SSH)}


_KEPT = {"GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_ASKPASS"}
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=15"


def _cause(said: bytes) -> str:
    """The line that tells the cause; a password that may stand in an address is masked."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines[-1:]
    return mask(causes[0]) if causes else ""
