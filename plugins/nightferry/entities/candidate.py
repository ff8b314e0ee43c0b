"""What a release is made of, pinned once by `decide`."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

from pydantic import StringConstraints

from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.lock import PinnedLock
from nightferry.entities.frozen import Recorded
from nightferry.entities.model_version import PinnedModel, Sha256

GitId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]


class PinnedSource(Recorded):
    """The app's code at one commit."""

    repository: str
    """As in the service file; `serving_app` for the stock service of the installation."""
    ref: str
    commit: GitId
    """The commit that the ref named when it was pinned; of the installation's stock service its content's sha256."""
    tree: GitId
    """git's id of the app's folder: equal content, equal tree, whatever the commit."""
    path: str
    tests: str | None = None
    author: str = ""
    """Who made the commit, `Ana Lima <ana@example.org>`; empty: nobody says. It decides nothing of the image."""

    @property
    def where(self) -> str:
        """Where the code is from, for people."""
        return f"{self.ref} of {self.repository}" if self.ref else "the stock service of this installation"


class Candidate(Recorded):
    """Everything that decides the content of a release's image."""

    service: str
    model: PinnedModel
    source: PinnedSource
    base_image: str
    recipe: Sha256
    """sha256 of the Dockerfile and its locked test requirements."""
    app: AppContract | None = None
    """What the app says about itself; None: it is the stock service, or an earlier version decided."""
    lock: PinnedLock | None = None
    """What the app's requirements were resolved to; None: nothing is resolved for it."""

    @property
    def inputs_digest(self) -> str:
        """sha256 (hex) over all that decides the image's content; the commit's id and the test suite do not."""
        decisive: dict[str, object] = {
            "service": self.service,
            "model": {"version": self.model.version, "sha256": self.model.sha256},
            "source": {"tree": self.source.tree, "path": self.source.path},
            "base_image": self.base_image,
            "recipe": self.recipe,
        }
        if self.lock:
            decisive["lock"] = self.lock.sha256
        return hashlib.sha256(json.dumps(decisive, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
