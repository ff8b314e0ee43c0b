"""What git and ssh say when they fail: which of it tells why, and whether trying again can help."""

from __future__ import annotations

import re

from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.masking import MASK

# These say that something failed, and not what.
_EMPTY = re.compile(
    r"^(fatal: Could not read from remote repository|Please make sure you have the correct access rights|"
    r"and the repository exists|fatal: the remote end hung up|fatal: early EOF|fatal: fetch-pack: invalid|"
    r"error: failed to fetch some objects|Warning: Permanently added|hint:|@|fetch: Fetching reference)"
)
_MOST = 400

_DISK = re.compile(r"No space left on device|Disk quota exceeded")
_DENIED = re.compile(
    r"Host key verification failed|Permission denied \(|Permission denied, please|Too many authentication failures|"
    r"Authentication failed|could not read (Username|Password)|Access denied|returned error: 40[13]|"
    r"not authorized|unauthorized|certificate",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"not a git repository|does not appear to be a git repository|does not exist|"
    r"repository\b.* not found|returned error: 404|dubious ownership|Permission denied|"
    r"remote helper|cannot run ssh|transport '.*' not allowed|is not installed here",
    re.IGNORECASE,
)


def cause(said: bytes) -> str:
    """The lines that tell the cause, ssh's and the server's among them, without passwords in addresses."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and not _EMPTY.match(line)] or [line for line in lines if line][:1]
    faults = [number for number, line in enumerate(lines) if line.startswith(("fatal:", "error:"))]
    if faults:
        first = faults[0]
        chosen = [line for line in lines[:first] if line.startswith("remote: ")][-2:]
        chosen += lines[first : first + 2] if lines[first].endswith(":") else [lines[first]]
    else:
        chosen = lines[-2:]
    return masked(" ".join(chosen))[:_MOST]


def masked(text: str) -> str:
    """The text with the logins masked that stand in addresses with a slash in the password, as git takes them too.

    All other logins are masked with every other secret (`nightferry.masking`).
    """
    return re.sub(r"//[^/\s:@]*:[^\s@]*/\S*@", f"//{MASK}@", text)


def unreadable(said: str, shown: str) -> NightferryError:
    """The failure of a repository that could not be read.

    Args:
        said: git's words.
        shown: the repository, without a password.
    """
    if _DISK.search(said):
        return Permanent(Reason.DISK_FULL, f"The disk for the mirror of {shown} is full; make room there: {said}")
    if _DENIED.search(said):
        return Permanent(
            Reason.SOURCE_REPOSITORY_DENIED,
            f"The source repository {shown} cannot be read: {said.rstrip('.')}. Check the key or login that git uses "
            "here, and whether the server's host key or certificate is known here.",
        )
    if _ABSENT.search(said):
        return Permanent(
            Reason.SOURCE_REPOSITORY_UNAVAILABLE,
            f"The source repository {shown} cannot be read: {said.rstrip('.')}. Check source.repository in the "
            "service file.",
        )
    return Temporary(Reason.SOURCE_REPOSITORY_UNAVAILABLE, f"The source repository {shown} cannot be read: {said}")
