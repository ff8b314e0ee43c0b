"""An app that runs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Served:
    """What is known of it from outside."""

    address: str
    """`http://127.0.0.1:port`."""
    said: Callable[[], str]
    """Its last lines."""
    wait: Callable[[], object]
    """Returns when it has ended."""
