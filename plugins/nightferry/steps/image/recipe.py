"""How the stock service's image is made."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

RECIPE = ("docker/serving/Dockerfile", "docker/serving/bare.py", "docker/serving/requirements-test.txt")
"""What decides how an image is made, besides its inputs."""


def recipe_digest(root: Path) -> str:
    """sha256 (hex) over the recipe's files in the project at `root`.

    Raises:
        Permanent: (setting_missing) the project's folder lacks one.
    """
    digest = hashlib.sha256()
    for name in RECIPE:
        try:
            content = (root / name).read_bytes()
        except OSError as error:
            raise Permanent(
                Reason.SETTING_MISSING,
                f"{root / name} cannot be read: NIGHTFERRY_ROOT has to name the project's folder.",
            ) from error
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()
