"""Where a git repository is: an https, ssh, git or file address, `user@host:path`, or a path of this machine."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from nightferry.masking import mask

OWN = "."
"""The project's own repository."""
_SCHEMES = ("https", "http", "ssh", "git", "file")
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
