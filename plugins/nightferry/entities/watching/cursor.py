"""What the watch remembers of a repository from look to look: a note that can be thrown away.

Without it the next look sees every service of the repository anew, and asks the record about each: it costs more, and
starts nothing that was decided.
"""

from __future__ import annotations

from pydantic import Field

from nightferry.entities.frozen import Recorded

FORM = 1
"""Which form a note has; one of another form counts as none."""
MOST_SEEN = 50
"""How many commits or versions that were passed over are remembered for a service."""


class Open(Recorded):
    """A service that the next look has to ask about again, whether its repository moved or not."""

    run: str = ""
    """The run that was started for it and had not decided; "": none could be started, or the record not be read."""
    not_before: str | None = None
    """Where that run ends without a decision: the next one is not started before that (UTC, RFC 3339)."""


class Cursor(Recorded):
    """What was found at the last look at a repository."""

    form: int = FORM
    address: str = ""
    """Which repository it is, for people."""
    heads: dict[str, str] = Field(default_factory=dict)
    """Branch or tag -> the commit that it named; of models nothing."""
    known: dict[str, str] = Field(default_factory=dict)
    """Service -> the id of its tree, or the sha256 of its newest model, that was asked about."""
    open: dict[str, Open] = Field(default_factory=dict)
    """By service."""
    passed: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Service -> commits or model versions that were the newest while a run waited to decide, and that no cause named
    yet, oldest first."""


def passed_by(before: tuple[str, ...], name: str) -> tuple[str, ...]:
    """What was passed over, and one more, each once."""
    return (*(one for one in before if one != name), name)[-MOST_SEEN:]
