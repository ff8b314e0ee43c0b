"""What a service file may say of a strategy, and what is refused in a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from nightferry.entities.service_file.rules import faults
from nightferry.entities.service_file.strategy import MOST_MINUTES
from nightferry.entities.service_spec import Environment, ServiceSpec

GATEWAY = {"gateway": "users", "host": "digits.example.org"}
GOOD = [{"share": "10%", "minutes": 10}, {"share": "50%", "minutes": 10}]


def spec(strategy: Any, traffic: Any = GATEWAY) -> ServiceSpec:
    production = {"name": "production", "namespace": "production", "strategy": strategy, "traffic": traffic}
    return ServiceSpec.model_validate(
        {
            "service": "digits",
            "owner": "ana",
            "model": {"repository": "azure-blob://models/digits"},
            "image": {"repository": "registry.example/digits"},
            "environments": [production],
        }
    )


@pytest.mark.parametrize(
    "strategy",
    [
        "blue_green",
        {"kind": "blue_green", "bake_minutes": 5},
        {"kind": "canary", "steps": GOOD, "bake_minutes": 5},
        {"kind": "canary", "steps": [{"share": "1%", "minutes": 0.1}]},
    ],
)
def test_it_may_say(strategy: Any) -> None:
    assert faults(spec(strategy)) == []


@pytest.mark.parametrize(
    ("strategy", "traffic", "where"),
    [
        ({"kind": "canary", "steps": GOOD}, None, "strategy.kind: a canary needs a gateway"),
        ({"kind": "canary"}, GATEWAY, "strategy.steps: a canary needs steps"),
        ({"kind": "blue_green", "steps": GOOD}, GATEWAY, "strategy.steps: blue_green sends all users over at once"),
        ({"kind": "canary", "steps": GOOD[::-1]}, GATEWAY, "strategy.steps.1.share: shares rise"),
        ({"kind": "canary", "steps": [GOOD[0], GOOD[0]]}, GATEWAY, "strategy.steps.1.share: shares rise"),
        ({"kind": "canary", "steps": [{"share": "0%", "minutes": 1}]}, GATEWAY, "strategy.steps.0.share: between"),
        ({"kind": "canary", "steps": [{"share": "100%", "minutes": 1}]}, GATEWAY, "strategy.steps.0.share: between"),
        ({"kind": "canary", "steps": [{"share": "5%", "minutes": 0}]}, GATEWAY, "strategy.steps.0.minutes: above 0"),
        ({"kind": "canary", "steps": [{"share": "5%", "minutes": 1000}]}, GATEWAY, "strategy.steps.0.minutes"),
        ({"kind": "blue_green", "bake_minutes": -1}, GATEWAY, "strategy.bake_minutes"),
        (
            {"kind": "canary", "steps": [{"share": "5%", "minutes": 300}], "bake_minutes": 100},
            GATEWAY,
            f": all steps and bakes together take 400 minutes; a run has time for {MOST_MINUTES:g}",
        ),
    ],
)
def test_it_is_refused(strategy: Any, traffic: Any, where: str) -> None:
    assert any(where in fault for fault in faults(spec(strategy, traffic))), faults(spec(strategy, traffic))


@pytest.mark.parametrize("share", [10, 0.1, "10", "ten%", "10.5%"])
def test_a_share_is_written_in_percent(share: Any) -> None:
    with pytest.raises(ValueError, match="whole number of percent"):
        spec({"kind": "canary", "steps": [{"share": share, "minutes": 1}]})


def test_what_was_pinned_before_is_read_and_what_says_no_more_is_written_as_before() -> None:
    pinned = {"name": "production", "namespace": "production", "strategy": "blue_green"}
    environment = Environment.model_validate(pinned)
    assert environment.to_json()["strategy"] == "blue_green"
    assert environment.strategy.longest_seconds == 0
    full = spec({"kind": "canary", "steps": GOOD, "bake_minutes": 5})
    assert ServiceSpec.model_validate(full.to_json()) == full
    assert full.to_json()["environments"][0]["strategy"]["steps"][0]["share"] == "10%"
    longest = full.environments[0].strategy.longest_seconds
    assert longest == 25 * 60 + 3 * 60, "Airflow's tasks get this much more: each part, and a minute for figures"
