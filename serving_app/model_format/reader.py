"""Read model.json, and say plainly what is wrong with it."""

from __future__ import annotations

import json

from serving_app.model_format.files import files_manifest
from serving_app.model_format.manifest import FILES, ONNX, ModelManifest
from serving_app.model_format.members import ManifestFault
from serving_app.model_format.onnx import onnx_manifest


def parse_manifest(content: bytes) -> ModelManifest:
    """The manifest in a model.json.

    Raises:
        ManifestFault: not JSON, or a member that is missing, unknown or wrong.
        LabelsFault: the labels are not one for each class.
    """
    try:
        value = json.loads(content.decode())
    except json.JSONDecodeError as error:
        message = f"{error.msg[0].lower()}{error.msg[1:]}"
        raise ManifestFault(f"not JSON, line {error.lineno}, column {error.colno}: {message}") from error
    except UnicodeDecodeError as error:
        raise ManifestFault("not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise ManifestFault(f"not JSON that can be read: {error}") from error
    if not isinstance(value, dict):
        raise ManifestFault("not a JSON object")
    if value.get("format") == FILES:
        return files_manifest(value)
    if value.get("format") in (ONNX, None):
        return onnx_manifest(value)
    raise ManifestFault(f"format is {value['format']!r}; there are {ONNX} and {FILES}")
