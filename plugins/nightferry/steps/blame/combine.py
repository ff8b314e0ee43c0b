"""What changed against the release in use, and the combinations of both."""

from __future__ import annotations

from dataclasses import dataclass

from nightferry.entities.barring.quarantine import Parts, words_for
from nightferry.entities.candidate import Candidate
from nightferry.entities.service_spec import STOCK, ServiceSpec

CODE = ("tree", "platform")


@dataclass(frozen=True)
class Side:
    """A release's candidate and its service file."""

    candidate: Candidate
    spec: ServiceSpec | None

    @property
    def parts(self) -> Parts:
        """All of its parts."""
        return Parts.of(self.candidate, self.spec)

    @property
    def model(self) -> str:
        """Its model, for people."""
        return f"model {self.candidate.model.version}"

    @property
    def source(self) -> str:
        """Its code, for people."""
        return f"source {self.candidate.source.commit[:8]}"


@dataclass(frozen=True)
class Changed:
    """A release that failed beside the one in use."""

    new: Side
    old: Side

    @property
    def parts(self) -> Parts:
        """What the new one has and the old one has not."""
        return self.new.parts.without(self.old.parts)

    @property
    def model(self) -> bool:
        """Whether the model is another one."""
        return self.parts.model is not None

    @property
    def code(self) -> bool:
        """Whether the code is, or what it stands on."""
        return bool(self.code_parts.named())

    @property
    def settings(self) -> bool:
        """Whether what reaches the containers is set otherwise."""
        return self.parts.settings is not None

    @property
    def code_parts(self) -> Parts:
        """Of the code what is to be barred: its tree where that changed, else what it stands on.

        Packages and base image usually move with the tree; where they alone were wrong, the old tree fails too.
        """
        parts = self.parts
        return Parts(tree=parts.tree) if parts.tree else Parts(platform=parts.platform)

    @property
    def code_words(self) -> str:
        """What of the code changed, for people."""
        return self.words(self.code_parts)

    def words(self, parts: Parts) -> str:
        """Parts of the new one, for people."""
        return words_for(parts, self.new.candidate)

    @property
    def other_recipe(self) -> bool:
        """Whether an installation of before made the one in use: its recipe is no longer there."""
        return self.new.candidate.recipe != self.old.candidate.recipe

    @property
    def untriable(self) -> str:
        """Why old code cannot be built with the new model; empty: it can."""
        old, new = self.old.candidate, self.new.candidate
        if old.source.repository == STOCK and old.source.tree != new.source.tree:
            return "the stock service of before is no longer installed"
        mixed = self.old_code_new_model
        if mixed.inputs_digest == new.inputs_digest:
            return "the recipe that the image in use was made by is no longer installed"
        return ""

    @property
    def old_code_new_model(self) -> Candidate:
        """The code in use with the new model, by the recipe that is installed."""
        new = self.new.candidate
        return self.old.candidate.model_copy(update={"model": new.model, "recipe": new.recipe})

    @property
    def new_code_old_model(self) -> Candidate:
        """The new code with the model in use."""
        return self.new.candidate.model_copy(update={"model": self.old.candidate.model})

    def ship_code(self) -> str:
        """The command that releases the new code with the model in use."""
        return f"nightferry release {self.new.candidate.service} --model {self.old.candidate.model.version}"

    def ship_model(self) -> str:
        """The command that releases the new model with the code in use; empty where that cannot be asked for."""
        old, new = self.old.candidate.source, self.new.candidate.source
        if old.repository != new.repository or old.repository == STOCK or old.tree == new.tree:
            return ""
        return f"nightferry release {self.new.candidate.service} --commit {old.commit}"
