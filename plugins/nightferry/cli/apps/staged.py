"""Copies of an app and its model, as a release would have them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nightferry.entities.model_version import MANIFEST, WHOLE
from nightferry.steps.image.request import IGNORE
from nightferry.steps.model.describing.files import model_files
from nightferry.steps.model.model_folder import check_files, read_manifest


@dataclass(frozen=True)
class Model:
    """What was copied."""

    files: tuple[str, ...] = ()
    """Their names in the folder."""
    model: str = ""
    """The file or folder that the app opens, or "." for the whole folder."""


def copy_app(app: Path, target: Path) -> None:
    """Copy what git would commit of the folder; where git is not there or knows nothing of it, what is not hidden.
    Of a `.dockerignore` nothing is taken: a release leaves nothing out."""
    names = _committed(app)
    if not names:
        found = [path.relative_to(app) for path in app.rglob("*") if path.is_file()]
        names = [str(name) for name in found if not any(part.startswith(".") for part in name.parts)]
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name != IGNORE:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(app / name, target / name)


def copy_model(path: Path | None, target: Path) -> Model:
    """Copy the model's files.

    Args:
        path: a file, a folder, or a version's folder with model.json; None: there is no model.
        target: a folder that is made here.

    Raises:
        Permanent: (model_…) it could not be published so.
    """
    target.mkdir(mode=0o755)
    if path is None:
        return Model()
    if (path / MANIFEST).is_file():
        manifest, content = read_manifest(path)
        check_files(path, manifest)
        (target / MANIFEST).write_bytes(content)
        found, model = {file.name: path / file.name for file in manifest.files}, manifest.model
    else:
        found, model = model_files(path), WHOLE if path.is_dir() else path.name
    for name, file in found.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target / name)
    return Model(tuple(sorted(found)), model)


def _committed(app: Path) -> list[str]:
    words = ["git", "-C", str(app), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="surrogateescape", check=False)
    except FileNotFoundError:
        return []
    return [name for name in done.stdout.split("\0") if name and (app / name).is_file()]
