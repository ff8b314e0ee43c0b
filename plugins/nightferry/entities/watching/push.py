"""What a webhook said: it wakes a look, and names who pushed. What is released is what the look finds."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from nightferry.entities.frozen import Recorded
from nightferry.masking import mask_words

Words = Annotated[str, StringConstraints(max_length=500), AfterValidator(mask_words)]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
MOST_COMMITS = 50


class Push(Recorded):
    """A delivery."""

    repositories: Annotated[tuple[str, ...], Field(max_length=20)]
    """The identities of the repositories that are to be looked at: see `repository_identity`."""
    provider: Words = ""
    """`github`, `azure`, `gitlab` or `mlflow`."""
    delivery: Words = ""
    """The delivery's own id."""
    by: Words = ""
    """Who pushed, as the sender says."""
    commit: Commit | None = None
    """What the branch names since then, as the sender says."""
    passed_over: Annotated[tuple[Commit, ...], Field(max_length=MOST_COMMITS)] = ()
    """The push's other commits."""
