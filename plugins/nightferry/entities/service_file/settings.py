"""What a service file may set: of the stock service what the service itself would take at its start, of others any
variable that is not the image's or the release's own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nightferry.entities.service_spec import Environment
from serving_app import settings
from serving_app.errors import StartError

OF_THE_IMAGE = frozenset(settings.variable(field) for field in ("model_dir", "host", "port", "status_port"))
"""Where the model lies and where the service listens: the objects of a release rely on it."""
OF_THE_RELEASE = frozenset({"MODEL_DIR", "HOME", "PATH", "PYTHONPATH"})
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def settings_faults(environment: Environment, *, stock: bool) -> Iterator[tuple[str, str]]:
    """Yield the key and what is wrong with it, for each setting that a release could not start with."""
    for name, value in environment.settings.items():
        fault = _fault(name, value) if stock else variable_fault(name)
        if fault:
            yield f"settings.{name}", fault


def variable_fault(name: str) -> str | None:
    """What is wrong with the name of a variable of an app; None: nothing."""
    if not VARIABLE.fullmatch(name):
        return "the name of a variable has letters, digits and _, and does not begin with a digit"
    if name.startswith("NIGHTFERRY_") or name in OF_THE_RELEASE:
        return "the image and the release's objects decide it; leave it out"
    return None


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
