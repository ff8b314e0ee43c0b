"""How a release takes over from the one in use: `strategy: {kind: canary, steps: [{share: 10%, minutes: 10}]}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_serializer, field_validator, model_serializer
from pydantic import model_validator as validator

from nightferry.entities.frozen import Frozen
from nightferry.entities.judging.service_figures import FigureLimits

if TYPE_CHECKING:
    from nightferry.entities.service_spec import Environment

BLUE_GREEN, CANARY = "blue_green", "canary"
GRACE_SECONDS = 60.0
"""How long a step, or the watch over all the users, may go on after its time until there are figures."""
MOST_MINUTES = 360.0
"""For all steps and bakes of a service together: a run of Airflow has twelve hours, and makes the image too."""
_SHARE = re.compile(r"([0-9]{1,3})\s*%")


class CanaryStep(Frozen):
    """A share of the users for a time."""

    share: int
    """Percent, written `10%`."""
    minutes: float

    @field_validator("share", mode="before")
    @classmethod
    def _percent(cls, value: object) -> object:
        found = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f'a share is a whole number of percent, written like "10%", not {value!r}')
        return int(found[1])

    @field_serializer("share")
    def _written(self, value: int) -> str:
        return f"{value}%"

    @property
    def seconds(self) -> float:
        """How long the share stays."""
        return self.minutes * 60


class Strategy(Frozen):
    """How users come to a new release."""

    kind: Literal["blue_green", "canary"] = "blue_green"
    """blue_green: all at once, after it was asked beside the one in use · canary: by shares."""
    steps: tuple[CanaryStep, ...] = Field(default=(), max_length=20)
    bake_minutes: float = 0.0
    """How long a release is watched with all the users before it is called released."""
    limits: FigureLimits = FigureLimits()
    """How much worse than those of the release in use its figures may be meanwhile."""

    @validator(mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        return {"kind": value} if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> str | dict[str, Any]:
        """What says nothing but its kind is on record as it was before there was more to say."""
        return self.kind if self == Strategy(kind=self.kind) else handler(self)

    @property
    def bake_seconds(self) -> float:
        """How long all the users are watched over."""
        return self.bake_minutes * 60

    @property
    def longest_seconds(self) -> float:
        """How long all of it may take, each part with the time that is given it for figures to come."""
        parts = [step.seconds for step in self.steps] + [self.bake_seconds] * bool(self.bake_minutes)
        return sum(part + GRACE_SECONDS for part in parts)


def strategy_faults(environment: Environment) -> Iterator[tuple[str, str]]:
    """Yield the key and what is wrong with it, for a strategy that no rollout could follow."""
    strategy = environment.strategy
    if not 0 <= strategy.bake_minutes <= MOST_MINUTES:
        yield "strategy.bake_minutes", f"between 0 and {MOST_MINUTES:g} minutes, not {strategy.bake_minutes:g}"
    if strategy.kind == BLUE_GREEN:
        if strategy.steps:
            yield "strategy.steps", "blue_green sends all users over at once; steps are for {kind: canary}"
        return
    if environment.traffic is None:
        yield (
            "strategy.kind",
            "a canary needs a gateway that sends each release its share: say `traffic: {gateway: NAME, host: HOST}`, "
            "or take blue_green",
        )
    if not strategy.steps:
        yield "strategy.steps", "a canary needs steps, such as [{share: 10%, minutes: 10}]"
    before = 0
    for number, step in enumerate(strategy.steps):
        where = f"strategy.steps.{number}"
        if not 0 < step.share < 100:
            yield f"{where}.share", f"between 1% and 99%, not {step.share}%: all the users come after the last step"
        elif step.share <= before:
            yield f"{where}.share", f"shares rise from step to step; {step.share}% comes after {before}%"
        if not 0 < step.minutes <= MOST_MINUTES:
            yield f"{where}.minutes", f"above 0 and at most {MOST_MINUTES:g}, not {step.minutes:g}"
        before = max(before, step.share)


def together_faults(environments: tuple[Environment, ...]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong where the steps and bakes of a service take longer than a run may."""
    minutes = sum(sum(step.minutes for step in one.strategy.steps) + one.strategy.bake_minutes for one in environments)
    if minutes > MOST_MINUTES:
        yield (
            "environments",
            f"all steps and bakes together take {minutes:g} minutes; a run has time for {MOST_MINUTES:g}",
        )
