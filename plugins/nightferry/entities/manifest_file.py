"""Read model.json, and say plainly what is wrong with it."""

from __future__ import annotations

from pydantic import ValidationError

from nightferry.entities.frozen import problems
from nightferry.entities.model_version import MANIFEST, ModelManifest


class ManifestFault(ValueError):
    """model.json does not hold what it should; the text says what."""


def parse_manifest(content: bytes) -> ModelManifest:
    """The manifest in a model.json.

    Raises:
        ManifestFault: not JSON, a key that is missing, unknown or wrong.
    """
    try:
        return ModelManifest.model_validate_json(content)
    except ValidationError as fault:
        raise ManifestFault(f"{MANIFEST} is not as it should be: {'; '.join(problems(fault)[:5])}") from fault
