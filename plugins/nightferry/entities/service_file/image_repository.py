"""Where images are kept: `registry.example.com:5000/team/digits`, a registry and a path in it.

The grammar is that of github.com/distribution/reference (regexp.go), whose path is the OCI distribution spec's `name`.
Unlike there a registry has to be named, since Docker Hub would be meant otherwise, and no IPv6 address, which older
Docker engines refuse; no tag or digest may follow, since Nightferry writes them itself.
tests/contract/service_file/test_image_repositories.py has a real Docker engine judge the same table.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PART = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = re.compile(rf"{_PART}(?:\.{_PART})*(?::(?P<port>[0-9]+))?", re.ASCII)
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*", re.ASCII)
_LONGEST = 255
"""Characters of registry and path together."""


class ImageRepository(NamedTuple):
    """A registry and a path in it."""

    registry: str
    """Host and port: `127.0.0.1:5000`."""
    path: str
    """`team/digits`."""

    @classmethod
    def parse(cls, text: str) -> ImageRepository:
        """Read `registry/path`.

        Raises:
            ValueError: it is no repository, or names no registry, or has a tag or digest.
        """
        registry, _, path = text.partition("/")
        if not path or not ("." in registry or ":" in registry or registry == "localhost"):
            raise ValueError(f"{text!r} names no registry; write it like registry.example.com/name")
        _check_host(registry)
        _check_path(path)
        if len(text) > _LONGEST:
            raise ValueError(f"it has {len(text)} characters, and a registry takes {_LONGEST} at the most")
        return cls(registry, path)

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"


def _check_host(registry: str) -> None:
    if "@" in registry:
        raise ValueError("leave out what stands before the @; credentials are the registry connection's")
    found = _HOST.fullmatch(registry)
    if not found:
        raise ValueError(f"{registry!r} is not a registry's host name with or without a port")
    port = found["port"]
    if port is not None and not (len(port) <= 5 and 1 <= int(port) <= 65535):
        raise ValueError(f"{port} is not a port; ports are 1 to 65535")


def _check_path(path: str) -> None:
    if "@" in path:
        raise ValueError("leave the digest out; each release adds its own")
    if ":" in path:
        raise ValueError("leave the tag out; each release adds its own")
    for component in path.split("/"):
        if not _COMPONENT.fullmatch(component):
            raise ValueError(
                f"{component!r} is not a part of a repository's name: lower case letters and digits, parted by single "
                "dots, by one or two underscores or by dashes"
            )
