"""`heal` in a service file."""

from __future__ import annotations

import pytest
from nightferry.entities.barring.quarantine import Parts, reaching
from nightferry.entities.service_spec import Environment, ServiceSpec
from pydantic import ValidationError

from tests.fakes.a_release import a_decision, a_spec

WHERE = {"name": "production", "namespace": "production"}


def test_it_is_off_and_is_a_yes_or_a_no() -> None:
    assert not Environment.model_validate(WHERE).heal
    assert Environment.model_validate(WHERE | {"heal": True}).heal
    for odd in ("perhaps", "yes", 1):
        with pytest.raises(ValidationError):
            Environment.model_validate(WHERE | {"heal": odd})


def test_switching_it_is_no_new_settings() -> None:
    """It reaches no object, so it asks for no release and frees nothing that is barred."""
    before = a_spec()
    environments = [one.model_dump() | {"heal": True} for one in before.environments]
    after = ServiceSpec.model_validate(before.model_dump() | {"environments": environments})
    candidate = a_decision().candidate
    assert reaching(before) == reaching(after)
    assert Parts.of(candidate, before) == Parts.of(candidate, after)
