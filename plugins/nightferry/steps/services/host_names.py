"""What host names mean on this machine."""

from __future__ import annotations

import socket

LOCAL = ".localhost"
"""Names that end so mean the machine that asks (RFC 6761): browsers and curl know that by themselves, other programs
where the C library's `myhostname` or systemd's resolver does."""
CONNECT_SECONDS = 2.0


def known_here(host: str, port: int) -> bool:
    """Whether programs on this machine find the host.

    A name that means this machine counts only where something listens at the port: it is known everywhere.
    """
    try:
        if host.endswith(LOCAL):
            socket.create_connection((host, port), CONNECT_SECONDS).close()
        else:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return True
