"""What a slot or a trigger led to."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from nightferry.entities.barring.quarantine import Choice
from nightferry.entities.candidate import Candidate, GitId
from nightferry.entities.frozen import Frozen, Recorded
from nightferry.entities.model_version import VersionName
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.trigger import PERSON, SCHEDULE, Cause
from nightferry.masking import mask_words

REQUEST = "request-"
"""How the runs begin that `nightferry release` starts by itself."""


def trigger_of(key: str, cause: Cause | None = None) -> str:
    """What asked for the decision of a key, as `Decision.trigger`."""
    if cause:
        return cause.kind
    return SCHEDULE if key.startswith("slot:") else PERSON


class ReleaseRequest(Frozen):
    """What a person or a schedule asks for; unset means the newest."""

    model: VersionName | None = None
    commit: GitId | None = None
    reason: Annotated[str, StringConstraints(max_length=500), AfterValidator(mask_words)] = ""
    force: bool = False
    """Release even when nothing changed."""
    until: Literal["published"] | None = None
    """`published`: built, tested and published, and then it waits; None: through all environments."""
    resume: Annotated[str, StringConstraints(max_length=80)] | None = None
    """The release to go on with, which waits."""
    trigger: Cause | None = None
    """What asked, where no person did; what a person says here does not count."""

    @model_validator(mode="after")
    def _goes_on_as_it_was_decided(self) -> ReleaseRequest:
        if self.resume and (self.model or self.commit or self.force or self.until):
            raise ValueError(
                "resume goes on with a release as it was decided; leave out model, commit, force and until"
            )
        return self


class Decision(Recorded):
    """Release or not, why, and with what. Made in one place, read everywhere: whatever runs later reads this, and
    not today's service file."""

    key: str
    """What was decided on: `slot:<time>` or `run:<run id>`; one decision a key."""
    service: str
    go: bool
    reason: str
    sentence: str
    actor: str
    """Who asked: a person, `schedule`, or who or what caused it (`Cause.actor`)."""
    trigger: str = ""
    """What asked: `schedule`, `person`, or a cause's kind; empty in decisions of before."""
    cause: Cause | None = None
    """What asked, where no person did and no slot of the schedule."""
    way: str = ""
    """By what way: `timetable`, `command` (`nightferry release`), `airflow` (its pages, or its REST API) or `event`."""
    release: str | None
    """The release's id; None when nothing is released."""
    candidate: Candidate
    request: ReleaseRequest
    in_use: str | None = None
    """The release that was in use in production."""
    image: str | None = None
    """The image to roll out, where nothing is built: only settings changed, or a release that waited goes on."""
    continued: bool = False
    """Whether a release goes on that waited: what it has done before is not done again."""
    approvers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Environment -> the Airflow users whom its `approvals:` meant when this was decided."""
    authors: dict[str, str] = Field(default_factory=dict)
    """`model`, `source` -> who made it, in its own words; of the installation's stock service nobody."""
    author_users: dict[str, str] = Field(default_factory=dict)
    """The same -> that author's name in Airflow; one whom dags/people.yaml did not know is missing."""
    choice: Choice | None = None
    """What it bars and lifts once users get it, where something was asked for by its name."""
    spec: dict[str, Any] | None = None
    """The service file's content, its settings filled in; None in decisions of before."""

    @field_validator("request", mode="before")
    @classmethod
    def _known(cls, value: object) -> object:
        """A newer version's request may hold more than this one knows."""
        if not isinstance(value, dict):
            return value
        return {name: given for name, given in value.items() if name in ReleaseRequest.model_fields}

    @property
    def service_spec(self) -> ServiceSpec | None:
        """The service as it was decided; None in decisions of before."""
        return ServiceSpec.model_validate(self.spec) if self.spec else None

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments that the release goes through, in order; empty in decisions of before."""
        return tuple(str(one["name"]) for one in (self.spec or {}).get("environments") or ())
