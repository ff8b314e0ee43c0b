"""What asked for a decision where no person did, and no slot of the schedule."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nightferry.entities.frozen import Recorded
from nightferry.masking import mask_words


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


Words = Annotated[str, AfterValidator(mask_words), AfterValidator(_printable)]
"""What other systems say, the author of a commit among them: cut where it is too long, without secrets, and without
what would write over other words where it is shown."""

PERSON, SCHEDULE = "person", "schedule"


class Cause(Recorded):
    """An event, or the end of a wait. It is for the record: what is released is what `decide` finds."""

    kind: Literal["commit", "model", "build", "window", "approval"]
    """A commit or a model version that is new, a build that was published, a window that opened, or people's yes."""
    by: Words = ""
    """Who pushed, published or approved, as far as that is known."""
    detail: Words = ""
    delivery: Words = ""
    """The event's own name, where one came: two with the same name are one."""
    repository: Words = ""
    commit: Words = ""
    model: Words = ""
    passed_over: Annotated[tuple[Words, ...], Field(max_length=100)] = ()
    """Commits and models that came since the last decision and were not the newest any more when this was decided."""

    @property
    def actor(self) -> str:
        """Who asked, for the record: the person where one is known, else what it was."""
        return self.by or self.kind

    @property
    def words(self) -> str:
        """What asked, for people: `commit 1a2b3c4d by ana, delivered by github (72d3162e)`."""
        what = {"commit": f"commit {self.commit[:8]}", "model": f"model {self.model}"}.get(self.kind, self.kind).strip()
        by = f" by {self.by}" if self.by else ""
        how = f", {self.detail[:1].lower()}{self.detail[1:].rstrip('.')}" if self.detail else ""
        delivery = f" ({self.delivery})" if self.delivery else ""
        return f"{what}{by}{how}{delivery}"


def asked_by(actor: str, trigger: str, cause: Cause | None) -> str:
    """Who or what asked, in a few words: `ana`, `schedule`, `commit by ana`, `model`."""
    if cause is None:
        return actor
    return f"{cause.kind} by {cause.by}" if cause.by else trigger or cause.kind
