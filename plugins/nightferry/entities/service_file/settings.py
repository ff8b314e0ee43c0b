"""What a service file may set the stock service with: what the service itself would take at its start."""

from __future__ import annotations

from collections.abc import Iterator

from nightferry.entities.service_spec import Environment, Source
from serving_app import settings
from serving_app.errors import StartError

OF_THE_IMAGE = frozenset(settings.variable(field) for field in ("model_dir", "host", "port", "status_port"))
"""Where the model lies and where the service listens: the objects of a release rely on it."""


def settings_faults(source: Source, environment: Environment) -> Iterator[tuple[str, str]]:
    """Yield the key and what is wrong with it, for each setting that a release could not start with."""
    if environment.settings and not source.is_stock:
        yield "settings", f"only the stock service's are known, and the app is {source.path}"
        return
    for name, value in environment.settings.items():
        fault = _fault(name, value)
        if fault:
            yield f"settings.{name}", fault


def _fault(name: str, value: str) -> str | None:
    if not name.startswith("SERVING_"):
        return "not a setting of the stock service; those are called SERVING_… (docs/serving.md)"
    if name in OF_THE_IMAGE:
        return "the image and the release's objects decide it; leave it out"
    if not value:
        return "a value is wanted; leave the setting out for its default"
    try:
        settings.load({name: value})
    except StartError as error:
        return str(error)
    return None
