"""How images are made: the files of the project that decide it, beside an image's inputs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

STOCK_RECIPE = ("docker/serving/Dockerfile", "docker/serving/bare.py", "docker/serving/requirements-test.txt")
"""Of the stock service."""
APP_RECIPE = (
    "docker/app/Dockerfile",
    "docker/app/lock.py",
    "docker/app/requirements-test.txt",
    *(
        f"docker/app/locking/{name}.py"
        for name in ("__init__", "build", "command", "fault", "install", "pip_words", "pyproject")
    ),
    *(f"docker/app/locking/{name}.py" for name in ("requirements_text", "resolve", "run", "system")),
)
"""Of the recipe `python`."""


def recipe_digest(root: Path) -> str:
    """sha256 (hex) over the stock service's recipe in the project at `root`. Raises as `recipe_file`."""
    digest = hashlib.sha256()
    for name in STOCK_RECIPE:
        content = recipe_file(root, name)
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def recipe_file(root: Path, name: str) -> bytes:
    """One of the files.

    Raises:
        Permanent: (setting_missing) the project's folder lacks it.
    """
    try:
        return (root / name).read_bytes()
    except OSError as error:
        raise Permanent(
            Reason.SETTING_MISSING,
            f"{root / name} cannot be read: NIGHTFERRY_ROOT has to name the project's folder.",
        ) from error
