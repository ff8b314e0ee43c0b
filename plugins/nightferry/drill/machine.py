"""The door to the machine of the cluster: where that is the sandbox's, its parts can be stopped and killed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Machine(Protocol):
    """Stops, starts and kills parts, by the names of `nightferry status`."""

    def refused(self, part: str) -> str:
        """Why a part cannot be taken away here; empty where it can."""
        ...

    def stop(self, part: str) -> None:
        """Stop it, and return when it has ended."""
        ...

    def start(self, part: str) -> None:
        """Start it where it does not run, and wait until it does its work.

        Raises:
            Temporary: (sandbox_failed) it does not in time.
        """
        ...

    def kill(self, part: str) -> None:
        """kill -9; whoever looks after it starts it again. Returns when that process is gone."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables with which a deployer of its own process works in the trial, beside this process's own."""
        ...


class NoMachine:
    """A cluster whose machines are others'."""

    def __init__(self, why: str, environment: Mapping[str, str]) -> None:
        self._why, self._environment = why, environment

    def refused(self, part: str) -> str:
        """Always."""
        return f"{part} cannot be taken away: {self._why}"

    def stop(self, part: str) -> None:
        """Never called."""
        raise NotImplementedError(part)

    start = kill = stop

    @property
    def environment(self) -> Mapping[str, str]:
        """As it was given."""
        return self._environment
