"""Who this service says it is: what the Deployment told it, checked against the model that it holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving_app.errors import StartError
from serving_app.model.model_dir import ModelDir


@dataclass(frozen=True)
class Passport:
    """The identity of a running service; members that nobody set are None (on a laptop, say)."""

    service: str
    environment: str | None
    release: str | None
    image: str | None
    model_version: str
    model_sha256: str
    source: str | None

    def document(self) -> dict[str, Any]:
        """Return what `GET /version` answers."""
        return {
            "service": self.service,
            "environment": self.environment,
            "release": self.release,
            "image": self.image,
            "model": {"version": self.model_version, "sha256": self.model_sha256},
            "source": self.source,
        }


def issue(model: ModelDir, environ: Mapping[str, str] = os.environ) -> Passport:
    """Make the passport from `NIGHTFERRY_…` variables and the model.

    Raises:
        StartError: the variables name another service or model version than model.json does. A service that lies
            about its model is worse than none.
    """
    for variable, actual in (
        ("NIGHTFERRY_SERVICE", model.service),
        ("NIGHTFERRY_MODEL", model.version),
        ("NIGHTFERRY_MODEL_SHA256", model.sha256),
    ):
        told = environ.get(variable)
        if told and told != actual:
            raise StartError(
                f"{variable} says {told}, but {model.path / 'model.json'} says {actual}; deploy them together"
            )
    return Passport(
        service=model.service,
        environment=environ.get("NIGHTFERRY_ENVIRONMENT") or None,
        release=environ.get("NIGHTFERRY_RELEASE") or None,
        image=environ.get("NIGHTFERRY_IMAGE") or None,
        model_version=model.version,
        model_sha256=model.sha256,
        source=environ.get("NIGHTFERRY_SOURCE") or None,
    )
