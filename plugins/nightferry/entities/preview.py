"""A preview: a model and a commit at an address of their own for some hours, which is no release."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from nightferry.entities.candidate import Candidate, GitId
from nightferry.entities.decision import Decision, ReleaseRequest
from nightferry.entities.frozen import Frozen, Recorded
from nightferry.entities.model_version import VersionName
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Name, ServiceSpec
from nightferry.masking import mask_words

HOURS = 8
"""How long a preview runs where nobody says otherwise."""
MOST_HOURS = 72
"""What runs longer is no look at a model any more."""
PREVIEW, ENDS = "preview", "ends"
"""Members of the entries of the kind `preview`: which one it is, and that it is over with this entry."""
UP, ENDED = "up", "ended"
"""The last parts of the keys of the entries that a preview is up, and that it is over."""
_PATTERN = re.compile(r"^preview-(?P<service>[a-z]([-a-z0-9]*[a-z0-9])?)-(?P<n>[1-9]\d*)$")


@dataclass(frozen=True)
class PreviewId:
    """The name of a preview, and of its objects in the cluster: `preview-digits-3`. No release is called so: a
    release's name has a dot."""

    service: str
    number: int
    """1 for the service's first."""

    @classmethod
    def parse(cls, text: str) -> PreviewId:
        """Read `preview-digits-3`.

        Raises:
            ValueError: it is not the name of a preview.
        """
        found = _PATTERN.match(text)
        if not found:
            raise ValueError(f"not a preview (preview-service-n): {text!r}")
        return cls(found["service"], int(found["n"]))

    def __str__(self) -> str:
        return f"preview-{self.service}-{self.number}"


def is_preview(name: str | None) -> bool:
    """Whether what goes by this name through the steps of a release is a preview."""
    return name is not None and _PATTERN.match(name) is not None


class PreviewRequest(Frozen):
    """What a person asks for."""

    service: Name
    model: VersionName
    commit: GitId | None = None
    """None: what the service file's ref names now."""
    hours: Annotated[int, Field(ge=1, le=MOST_HOURS)] = HOURS
    reason: Annotated[str, StringConstraints(max_length=500), AfterValidator(mask_words)] = ""


class Preview(Recorded):
    """What was pinned for a preview. Whatever runs later reads this, and not today's service file."""

    preview: str
    """Its name, a `PreviewId`."""
    service: str
    actor: str
    """Who asked."""
    hours: int
    reason: str = ""
    """Why, in the person's words."""
    candidate: Candidate
    spec: dict[str, Any]
    """The service file's content, its settings filled in."""

    @property
    def service_spec(self) -> ServiceSpec:
        """The service as it was pinned."""
        return ServiceSpec.model_validate(self.spec)

    def decision(self, key: str) -> Decision:
        """As the steps that make and test an image take it. It is nowhere on the record: no release comes of it."""
        return Decision(
            key=key,
            service=self.service,
            go=True,
            reason=Reason.PREVIEWING,
            sentence=f"{self.preview} is a preview.",
            actor=self.actor,
            release=self.preview,
            candidate=self.candidate,
            request=ReleaseRequest(reason=self.reason),
            spec=self.spec,
        )
