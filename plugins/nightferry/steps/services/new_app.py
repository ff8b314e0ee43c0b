"""Begin an app: a git repository with a small Flask app, its tests, its contract and its service file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nightferry.clients.git.new_repository import new_repository
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.services.new_service import service_file

PLACEHOLDER = "SERVICE_NAME"
"""Stands in the template's files for the service's name."""
RENAMED = {"gitignore": ".gitignore"}
"""What has another name in the template, where it would mean something by itself."""


@dataclass(frozen=True)
class NewApp:
    """What was begun."""

    folder: Path
    file: Path
    """The service file."""
    commit: str


def new_app(service: str, owner: str, author: str, folder: Path, template: Path) -> NewApp:
    """Write the repository; it is there whole or not at all.

    Args:
        service: the service's name.
        owner: who answers for it.
        author: who commits, where git's configuration does not say.
        folder: where the repository will be: no such folder, or an empty one.
        template: the folder of the files that it is made of.

    Raises:
        Permanent: (service_file_invalid: such a service cannot be, the folder is taken or cannot be written;
            source_repository_unavailable: git cannot make a repository)
    """
    target = folder.absolute()
    target = target.parent.resolve() / target.name
    content = service_file(service, owner, target)
    if target == Path.cwd():
        raise Permanent(Reason.SERVICE_FILE_INVALID, "The folder cannot be the one that you are in; nothing was done.")
    try:
        if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
            raise _taken(folder)
        with _beside(target) as made:
            _write(template, made, service)
            file = made / f"{service}.yaml"
            file.write_text(content, encoding="utf-8")
            commit = new_repository(made, f"Begin {service}", author)
            _put(made, target, folder)
    except OSError as fault:
        where = fault.filename or folder
        sentence = f"{where} cannot be written ({fault.strerror}); nothing was done."
        raise Permanent(Reason.SERVICE_FILE_INVALID, sentence) from fault
    return NewApp(folder, folder / f"{service}.yaml", commit)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder on the same disk; what is left of it at the end is removed."""
    made = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", suffix=".new", dir=target.parent))
    try:
        made.chmod(0o755)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _write(template: Path, folder: Path, service: str) -> None:
    for file in sorted(template.rglob("*")):
        name = file.relative_to(template)
        if not file.is_file() or "__pycache__" in name.parts:
            continue
        written = folder / name.with_name(RENAMED.get(name.name, name.name))
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(file.read_text(encoding="utf-8").replace(PLACEHOLDER, service), encoding="utf-8")


def _put(made: Path, target: Path, folder: Path) -> None:
    try:
        os.rename(made, target)  # noqa: PTH104 (onto an empty folder, and no other, it is one act)
    except (FileExistsError, NotADirectoryError) as fault:
        raise _taken(folder) from fault
    except OSError as fault:
        if target.is_dir():  # ENOTEMPTY: somebody was quicker
            raise _taken(folder) from fault
        raise


def _taken(folder: Path) -> Permanent:
    sentence = f"{folder} is there already, and is not an empty folder; nothing was done."
    return Permanent(Reason.SERVICE_FILE_INVALID, sentence)
