"""Which part of a release a gate failed for: what the record says of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from nightferry.entities.barring.quarantine import Bar
from nightferry.entities.frozen import Recorded

BLAME = "blame"
"""The step of the entries about it, and of Airflow's task."""


class Guilty(StrEnum):
    """Whom a failed gate is blamed on."""

    MODEL = "model"
    CODE = "code"
    SETTINGS = "settings"
    TOGETHER = "together"
    """Each is right with the other one's part of the release in use; the two together are not."""
    EACH = "each"
    """Each is wrong by itself."""


_REST: dict[str, str] = {Guilty.MODEL: "the code alone", Guilty.CODE: "the model alone"}


class Trial(Recorded):
    """One combination of code and model, tried with the same questions."""

    code: str
    """For people: `source 1a2b3c4d`."""
    model: str
    passed: bool | None
    """None: it could not be tried."""
    sentence: str = ""
    """What was wrong, or why it could not be tried."""


class Blame(Recorded):
    """What was found out about a failed gate."""

    failed_step: str
    """The step that failed, and why."""
    failed_reason: str
    fault: str
    guilty: str | None = None
    """A Guilty, or a word of another version; None: nobody is blamed."""
    sentence: str
    trials: tuple[Trial, ...] = ()
    commands: tuple[str, ...] = ()
    """Each ships what is not guilty alone."""
    bars: tuple[Bar, ...] = ()
    """What is not to be tried again by the schedule."""
    settled: bool = True
    """False: it could not be found out; who asks again may find out more."""

    @property
    def subject(self) -> tuple[str, str, str]:
        """The failure that it is about."""
        return self.failed_step, self.failed_reason, self.fault

    @property
    def told(self) -> str:
        """All of it in sentences; the command is at the end, to be copied."""
        if not self.commands:
            return self.sentence
        rest = _REST.get(self.guilty or "", "one alone")
        return f"{self.sentence} To release {rest}: {' or '.join(self.commands)}"

    def about(self) -> dict[str, Any]:
        """For the record."""
        return {"step": BLAME} | self.to_json()
