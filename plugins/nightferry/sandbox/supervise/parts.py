"""A part of the sandbox: one long-running program under the supervisor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nightferry.sandbox.layout import Layout
from nightferry.sandbox.supervise import probes
from nightferry.sandbox.supervise.probes import Probe


@dataclass(frozen=True)
class Part:
    """What to run, and how to see that it works."""

    name: str
    command: tuple[str, ...]
    probe: Probe
    address: str
    """Where it listens, for people; empty where it does not."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """May hold secrets: it goes into the supervisor's configuration, a file that root alone can read."""
    owned: bool = False
    """Runs as the sandbox's owner; else as root."""
    user: str = ""
    """A system user that it runs as, in `folder`."""
    folder: Path | None = None
    """Where it is started: the state folder where None."""
    deadline: float = 60.0
    """Seconds from its start until it must be healthy."""
    stop_seconds: int = 10
    """Seconds it gets to end by itself."""
    stop_signal: str = "TERM"
    """What asks it to."""


@dataclass(frozen=True)
class Known:
    """What is kept of a part for later commands."""

    name: str
    address: str
    probe: Probe


def keep(layout: Layout, parts: Sequence[Part]) -> None:
    """Keep the names, addresses and probes of the parts."""
    data = [{"name": part.name, "address": part.address, "probe": probes.to_data(part.probe)} for part in parts]
    layout.write(layout.folder("supervisor", owned=True) / "parts.json", json.dumps(data, indent=1) + "\n", owned=True)


def kept(layout: Layout) -> list[Known]:
    """The parts that the last `up` laid down; none where there was none."""
    try:
        data = json.loads((layout.home / "supervisor" / "parts.json").read_text(encoding="utf-8"))
        return [Known(row["name"], row["address"], probes.from_data(row["probe"])) for row in data]
    except (OSError, ValueError, KeyError, TypeError):
        return []
