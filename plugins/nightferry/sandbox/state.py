"""`sandbox.json`: what `up` chose and every later command and Airflow task reads. It holds no secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nightferry.sandbox.layout import Layout


@dataclass(frozen=True)
class State:
    """The choices of the sandbox."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """NIGHTFERRY_… settings, as `nightferry.settings` reads them."""
    ports: Mapping[str, int] = field(default_factory=dict)
    extras: tuple[str, ...] = ()
    """Parts that someone asked for with `up --with`, until `clean`."""


def read(layout: Layout) -> State:
    """What is kept; nothing where there is none or it cannot be read: then `up` chooses anew."""
    try:
        kept: Any = json.loads(layout.settings_file.read_text(encoding="utf-8"))
        settings = {str(key): str(value) for key, value in kept["settings"].items()}
        ports = {str(key): int(value) for key, value in kept["ports"].items()}
        return State(settings, ports, tuple(str(name) for name in kept.get("extras", ())))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return State()


def write(layout: Layout, state: State) -> None:
    """Write the choices to `sandbox.json`."""
    whole = {"settings": dict(state.settings), "ports": dict(state.ports), "extras": list(state.extras)}
    layout.write(layout.settings_file, json.dumps(whole, indent=2, sort_keys=True) + "\n", owned=True)
