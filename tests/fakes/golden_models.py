"""Tiny real models with golden examples, as their author would publish them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from nightferry.entities.model_version import ModelManifest, parse_manifest

from tests.serving_app import models

GREYS = {"dark": 0, "middling": 128, "light": 255}


def write_shades(folder: Path, **changes: Any) -> ModelManifest:
    """A model for pictures, with one golden picture per label. `changes` replace members of model.json."""
    models.write_shades(folder, author="ada")
    (folder / "golden").mkdir()
    golden = []
    for label, grey in GREYS.items():
        (folder / "golden" / f"{label}.png").write_bytes(models.picture(grey))
        golden.append({"image": f"golden/{label}.png", "label": label})
    return listed(folder, {"golden": golden, **changes})


def write_sum(folder: Path, outputs: list[float], **changes: Any) -> ModelManifest:
    """A model of two tensors; its golden example adds 1.5, 2 and 3, 4 and is said to give `outputs`."""
    models.write_sum(folder, author="ada", labels=[])
    inputs = [
        {"name": "a", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.0]},
        {"name": "b", "datatype": "INT64", "shape": [1, 2], "data": [3, 4]},
    ]
    example = {"inputs": inputs, "outputs": [{"name": "sum", "data": outputs}]}
    return listed(folder, {"golden": [example], **changes})


def listed(folder: Path, changes: dict[str, Any]) -> ModelManifest:
    """Write model.json anew, with these members replaced, and with the files that are there."""
    document = json.loads((folder / "model.json").read_text()) | changes
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "model.json")
    document["files"] = [
        {
            "name": str(path.relative_to(folder)),
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in files
    ]
    content = json.dumps(document).encode()
    (folder / "model.json").write_bytes(content)
    return parse_manifest(content)
