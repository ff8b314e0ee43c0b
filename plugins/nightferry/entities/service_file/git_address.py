"""Where a git repository is: an https, ssh, git or file address, `user@host:path`, or a path of this machine."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from nightferry.masking import mask

OWN = "."
"""The project's own repository."""
_SCHEMES = ("https", "http", "ssh", "git", "file")
_PORTS = {"https": 443, "http": 80, "ssh": 22, "git": 9418}
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
_SSH = re.compile(r"(?:[^/@:\s]+@)?(?:[\w.-]+|\[[0-9A-Fa-f:]+\]):(?!:)\S.*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_git_address(address: str) -> None:
    """Refuse what git could not fetch from, and an address with a secret in it: it would be on the record.

    Raises:
        ValueError: what is wrong with it.
    """
    if mask(address) != address:
        raise ValueError(
            "the address holds a password or token, which would be on record; leave out what stands before the @ and "
            "give git a credential helper, GIT_ASKPASS or an ssh key"
        )
    if not address.strip() or address != address.strip() or _CONTROL.search(address):
        raise ValueError(f"{address!r} is not an address that git understands")
    found = _SCHEME.match(address)
    if found:
        _check_url(address, found["scheme"])
    elif address != OWN and not address.startswith("/") and not _SSH.fullmatch(address):
        raise ValueError(
            f"{address!r} is not an address that git understands: write https://host/path, ssh://user@host/path, "
            'user@host:path, an absolute path, or "." for the project\'s own repository'
        )


def _check_url(address: str, scheme: str) -> None:
    if scheme not in _SCHEMES:
        raise ValueError(f"git does not fetch with {scheme}://; use one of {', '.join(_SCHEMES)}")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as fault:
        raise ValueError(f"{address!r} is not an address: {fault}") from fault
    if port == 0 or (scheme != "file" and not parts.hostname) or not parts.path.strip("/"):
        raise ValueError(f"{address!r} names no repository: write {scheme}://host/path")


def repository_identity(address: str) -> str:
    """What all spellings of one repository's address have in common; for comparing, not for fetching.

    Host names have no case, `.git` and a slash at the end say nothing, nor do a scheme's usual port and the user of an
    https address. Over ssh the user `git` is the hosting sites' own, whose paths begin at the root: `git@host:p` is
    `ssh://git@host/p`. Any other user of ssh has a home of their own, so that `ana@host:p` stays another one. https and
    ssh of the same path stay two: nobody proved that both lead to one repository. The address of a wrong form is its
    own identity.
    """
    if address == OWN:
        return OWN
    if address.startswith("/"):
        return f"file://{_local(address)}"
    found = _SCHEME.match(address)
    if not found:
        return _of_scp(address) if _SSH.fullmatch(address) else address
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return address
    scheme = parts.scheme.lower()
    if scheme == "file":
        return f"file://{_local(unquote(parts.path))}"
    user = parts.username or "" if scheme == "ssh" else ""
    return _identity(scheme, user, parts.hostname or "", port, unquote(parts.path))


def _of_scp(address: str) -> str:
    """`user@host:path`, whose path begins at the user's home unless it begins with a slash."""
    before, _, path = address.partition("]:") if "[" in address.partition(":")[0] else address.partition(":")
    user, _, host = before.rpartition("@")
    rooted = path.startswith("/") or user == "git"
    return _identity("ssh", user, host.strip("[]"), None, path if rooted else f"/~/{path}")


def _identity(scheme: str, user: str, host: str, port: int | None, path: str) -> str:
    where = host.lower().rstrip(".") + (f":{port}" if port not in (None, _PORTS.get(scheme)) else "")
    return f"{scheme}://{user + '@' if user else ''}{where}/{_short(path).strip('/')}"


def _short(path: str) -> str:
    return re.sub(r"/{2,}", "/", path).rstrip("/").removesuffix(".git").rstrip("/")


def _local(path: str) -> str:
    """A folder of this machine: beside `app.git` there may be another one, `app`."""
    return re.sub(r"/{2,}", "/", path).rstrip("/") or "/"
