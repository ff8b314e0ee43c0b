"""An app that runs on this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent


@dataclass(frozen=True)
class Served:
    """What is known of it from outside."""

    address: str
    """`http://127.0.0.1:port`."""
    said: Callable[[], str]
    """Its last lines."""
    wait: Callable[[], object]
    """Returns when it has ended."""
    ended: Callable[[], bool]
    """Whether it has."""


def refuse_taken(port: int, instead: str) -> None:
    """Complain about a port of this machine that something else listens on.

    Args:
        port: of loopback.
        instead: what to do about it.

    Raises:
        Permanent: (request_invalid)
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as fault:
            raise Permanent(
                Reason.REQUEST_INVALID, f"The port {port} of this machine cannot be had ({fault.strerror}); {instead}."
            ) from fault


def free_port(wanted: int) -> int:
    """This port of loopback if nothing listens on it, else any that is free."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted
