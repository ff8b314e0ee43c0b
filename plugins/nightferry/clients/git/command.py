"""Run git, without anything that could make it ask or page."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nightferry.clients.git.words import cause

SECONDS = 300.0
"""How long one git command may take unless the settings say otherwise: the newest commit of 1.5 GB at 5 MB/s."""


class GitFault(Exception):
    """git failed; `said` is what tells why, without passwords."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class GitTooSlow(GitFault):
    """git was ended, since it took longer than its limit."""


class Git:
    """git in one folder."""

    def __init__(
        self, folder: Path, seconds: float = SECONDS, protocols: str | None = None, *, itself: bool = False
    ) -> None:
        """Args: folder: a repository; seconds: the limit for one command; protocols: all that git may speak, if only
        some, as in GIT_ALLOW_PROTOCOL; itself: the folder is the repository, and one around it is never meant."""
        self.folder = folder
        self._seconds = seconds
        self._own = {"GIT_ALLOW_PROTOCOL": protocols} if protocols else {}
        if itself:  # a mirror that somebody removes meanwhile: git would go on in the checkout that it lies in
            self._own["GIT_CEILING_DIRECTORIES"] = str(folder.absolute().parent)

    def words(self, *arguments: str) -> list[str]:
        """The command line. The repository may belong to someone else, as when a container reads a mounted one."""
        return ["git", "-c", f"safe.directory={self.folder}", "-C", str(self.folder), *arguments]

    def run(self, *arguments: str) -> str:
        """What git prints.

        Raises:
            GitFault: it failed, is not installed, or took too long.
        """
        return self._run(self.words(*arguments), arguments[0])

    def write(self, *arguments: str) -> str:
        """As `run`, for a command that locks files: when this process is killed, git dies too and leaves the folder to
        the next one, where the system can do that (Linux). Raises as `run`."""
        dying_too = ["setpriv", "--pdeathsig", "KILL"] if sys.platform == "linux" else []
        return self._run([*dying_too, *self.words(*arguments)], arguments[0])

    def quietly(self, *arguments: str) -> str | None:
        """What git prints, None when it fails."""
        try:
            return self.run(*arguments)
        except GitFault:
            return None

    def batch(self, *arguments: str, lines: Sequence[str]) -> list[str]:
        """The lines that git answers to lines. Raises as `run`."""
        asked = "".join(f"{line}\n" for line in lines).encode()
        return self._run(self.words(*arguments), arguments[0], asked).splitlines()

    def _run(self, command: list[str], verb: str, asked: bytes | None = None) -> str:
        try:
            # A session of its own: git's helpers, ssh among them, are ended with it.
            process = subprocess.Popen(
                command,
                env=environment() | self._own,
                stdin=subprocess.DEVNULL if asked is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError as fault:
            raise GitFault(f"{command[0]} is not installed here") from fault
        with process:
            try:
                out, err = process.communicate(asked, timeout=self._seconds)
            except subprocess.TimeoutExpired as fault:
                _end(process)
                raise GitTooSlow(
                    f"git {verb} took longer than {self._seconds:g} seconds; NIGHTFERRY_GIT_SECONDS allows more"
                ) from fault
            except BaseException:
                _end(process)
                raise
        if process.returncode:
            raise GitFault(cause(err) or f"git {verb} failed with {process.returncode}")
        return out.decode(errors="surrogateescape").strip()


def environment() -> dict[str, str]:
    """git's environment: it never asks for a password, and speaks English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_SSH_COMMAND": kept.get("GIT_SSH_COMMAND", _SSH)}


_KEPT = {"GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_ASKPASS"}
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=15"


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
