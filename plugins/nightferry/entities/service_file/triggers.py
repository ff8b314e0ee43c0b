"""What starts a release besides the schedule and people: `triggers:` of a service file."""

from __future__ import annotations

from typing import Literal

from nightferry.entities.frozen import Frozen

BUILD: Literal["build"] = "build"
RELEASE: Literal["release"] = "release"


class Triggers(Frozen):
    """What a new commit, a new model and a finished build start. Nothing said: nothing."""

    commit: Literal["build", "release"] | None = None
    """`build`: it is built, tested and published at once, and the schedule releases what is ready. `release`: it goes
    on through the environments."""
    model: Literal["build", "release"] | None = None
    """The same for a model version that has become complete."""
    build: Literal["release"] | None = None
    """`release`: what another run published is released."""

    @property
    def builds(self) -> bool:
        """Whether something is built by day that the schedule releases."""
        return BUILD in (self.commit, self.model) and self.build is None

    @property
    def any(self) -> bool:
        """Whether anything starts anything."""
        return any((self.commit, self.model, self.build))
