"""What a slot or a trigger led to."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from nightferry.entities.candidate import Candidate, GitId
from nightferry.entities.frozen import Frozen
from nightferry.entities.model_version import VersionName
from nightferry.entities.reason import Reason
from nightferry.masking import mask


class ReleaseRequest(Frozen):
    """What a person or a schedule asks for; unset means the newest."""

    model: VersionName | None = None
    commit: GitId | None = None
    reason: Annotated[str, StringConstraints(max_length=500), AfterValidator(mask)] = ""
    force: bool = False
    """Release even when nothing changed."""


class Decision(Frozen):
    """Release or not, why, and with what. Made in one place, read everywhere."""

    key: str
    """What was decided on: `night:<local date>` or `run:<run id>`; one decision a key."""
    service: str
    go: bool
    reason: Reason
    sentence: str
    actor: str
    """Who asked: a person, or `schedule`."""
    release: str | None
    """The release's id; None when nothing is released."""
    candidate: Candidate
    request: ReleaseRequest
    in_use: str | None = None
    """The release that was in use in production."""
