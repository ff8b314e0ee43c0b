"""What a rollout needs to know: one release, one environment, read from the record."""

from __future__ import annotations

from pydantic import Field

from nightferry.entities.app.contract import AppContract
from nightferry.entities.frozen import Frozen
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.service_spec import Environment, Gate


class RolloutPlan(Frozen):
    """Everything a rollout or a verification needs; no secret is in it."""

    service: str
    release: str
    order: int
    """The sequence of the decision that ordered the release: its fence."""
    image: str
    """`repository@sha256:…`, the digest that was tested."""
    model: PinnedModel
    model_repository: str
    """`azure-blob://container/prefix`: where the golden examples are read from."""
    source: str
    """The commit."""
    actor: str
    app: AppContract | None
    """How the app is started and asked; None: it is the stock service, which answers probes and scrapers on a port of
    their own."""
    gates: dict[str, Gate] = Field(default_factory=dict)
    """Of the comparison with the release in use: `flips`, `p95`."""
    environment: Environment
