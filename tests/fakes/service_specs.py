"""Service files' contents to test with."""

from __future__ import annotations

from typing import Any

from nightferry.entities.service_spec import ServiceSpec


def digits_content(**changes: Any) -> dict[str, Any]:
    """What dags/services/digits.yaml says, in short."""
    content: dict[str, Any] = {
        "service": "digits",
        "owner": "release-managers",
        "schedule": {"cron": "0 2 * * *", "timezone": "Europe/Zurich"},
        "source": {"ref": "main"},
        "model": {"repository": "azure-blob://models/digits"},
        "image": {"repository": "127.0.0.1:5000/digits"},
        "gates": {"accuracy": ">= 0.95"},
        "environments": [
            {"name": "staging", "namespace": "staging"},
            {"name": "production", "namespace": "production", "replicas": 2},
        ],
    }
    return content | changes


def digits_spec(**changes: Any) -> ServiceSpec:
    """The sample service."""
    return ServiceSpec.model_validate(digits_content(**changes))
