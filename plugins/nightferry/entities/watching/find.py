"""What a look found of one service, and what it leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

COMMIT: Literal["commit"] = "commit"
MODEL: Literal["model"] = "model"
Event = Literal["commit", "model"]


@dataclass(frozen=True)
class Find:
    """The newest of a service's code, or of its models."""

    event: Event
    what: str
    """git's id of the app's tree, or the sha256 of model.json: equal content, equal id."""
    name: str
    """The commit, or the model version."""
    by: str = ""
    """The commit's author, or the model's."""


@dataclass(frozen=True)
class Due:
    """A run that should decide about a find."""

    run: str
    """The run's id; the same find has the same one, whoever sees it."""
    until: Literal["published"] | None
    """Where the release waits, if the service file does not let it go on."""
