"""The app contract: what an app's folder says about itself in `nightferry.yaml`.

Here is its shape, as it is pinned in a decision. What the values may be is in `steps/app/read_contract.py`, which is
asked when the file is read and never when a decision is read back from the record.
"""

from __future__ import annotations

from pydantic import BaseModel, Field, field_validator

from nightferry.entities.app.exchange import METHODS, Answer, Exchange, Request
from nightferry.entities.frozen import Recorded

CONTRACT = "nightferry.yaml"
DEBIAN_12, DEBIAN_13 = "debian-12", "debian-13"


class AppContract(Recorded):
    """How an app is made, started and asked."""

    base: str = DEBIAN_12
    """`debian-12`, `debian-13`, or an image by digest."""
    dockerfile: str | None = None
    """The app's own Dockerfile; None: the recipe `python` makes the image."""
    requirements: str = "requirements.txt"
    """A file of requirements, or a pyproject.toml with uv's or Poetry's lock beside it."""
    system: tuple[str, ...] = ()
    """The distribution's packages."""
    start: tuple[str, ...] = ()
    """The command and its words, run without a shell; empty with a Dockerfile of its own: the image's."""
    folder: str = "."
    """Where it is started, below the app's folder."""
    environment: dict[str, str] = Field(default_factory=dict)
    model_at: str | None = None
    """Where the app opens its model; None: in /model."""
    port: int = 8080
    ready: str | None = None
    """Answers 200 when the app may get traffic; None: it may when the port is open."""
    live: str | None = None
    version: str | None = None
    """Says the release in its answer; None: the image's digest proves who answers."""
    metrics: str | None = None
    """Where it tells what it counts of its requests, in Prometheus' text format; None: nowhere."""
    scratch: str = "64Mi"
    """Room in /tmp."""
    checks: tuple[Exchange, ...] = ()
    test: tuple[str, ...] = ()
    """The command of the unit tests; empty: pytest."""
    test_requirements: str | None = None
    """What the tests need beside the app; None: pytest alone."""
    tests_need_model: bool = False

    @field_validator("checks", mode="before")
    @classmethod
    def _known(cls, value: object) -> object:
        """Of what a newer version recorded, as much as this one knows. The file itself is read strictly."""
        if not isinstance(value, list):
            return value
        return [_only(Exchange, check, request=Request, answer=Answer) for check in value]


def _only(model: type[BaseModel], value: object, **inside: type[BaseModel]) -> object:
    """The members of a recorded value that a model has."""
    if not isinstance(value, dict):
        return value
    names = {field.alias or name for name, field in model.model_fields.items()} | {*METHODS}
    found = {name: item for name, item in value.items() if name in names}
    return found | {name: _only(each, found[name]) for name, each in inside.items() if name in found}
