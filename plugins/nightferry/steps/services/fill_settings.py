"""A service file with this installation's settings filled in: what a decision pins."""

from __future__ import annotations

from nightferry.entities.service_spec import ServiceSpec


def fill_settings(spec: ServiceSpec, service_type: str) -> ServiceSpec:
    """The service, every environment with a kind of Service: the file's own, else the setting's."""
    environments = tuple(
        environment.model_validate({**environment.to_json(), "service_type": environment.service_type or service_type})
        for environment in spec.environments
    )
    return spec.model_copy(update={"environments": environments})
