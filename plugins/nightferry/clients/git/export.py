"""Write a git tree into a folder exactly as committed: no attribute, filter or line ending setting has a say."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from nightferry.clients.full_disk import full_disk
from nightferry.clients.git.command import Git, environment
from nightferry.clients.git.large_files import Pointer, read_pointer
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

_LINK, _MODULE, _PROGRAM = "120000", "160000", "100755"


@dataclass
class Elsewhere:
    """What a tree names and does not hold."""

    submodules: dict[str, str] = field(default_factory=dict)
    """The pinned commit of each, by its path in the tree."""
    pointers: dict[str, Pointer] = field(default_factory=dict)
    """The files that Git LFS keeps, by their path in the tree."""


@contextmanager
def made_anew(target: Path) -> Iterator[Path]:
    """A folder that gets the name `target` when all is written; what was there is gone.

    Raises:
        Permanent: (disk_full)
    """
    coming = target.with_name(f".{target.name}.part")
    shutil.rmtree(coming, ignore_errors=True)
    try:
        with full_disk(target.parent):
            _make_folder(coming)
            yield coming
        shutil.rmtree(target, ignore_errors=True)
        coming.rename(target)
    except BaseException:
        shutil.rmtree(coming, ignore_errors=True)
        raise


def write_tree(git: Git, tree: str, folder: Path, app: Path) -> Elsewhere:
    """Write the files of a tree; what they only point to is returned.

    Args:
        git: the repository.
        tree: the tree's id.
        folder: where to.
        app: what no symbolic link may leave: `folder`, or one around it.

    Raises:
        Permanent: (source_path_missing: a symbolic link leaves the app's folder, or a file's name does)
    """
    elsewhere = Elsewhere()
    _make_folder(folder)
    with subprocess.Popen(
        git.words("cat-file", "--batch"), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as objects:
        for mode, blob, name in _files(git, tree):
            if mode == _MODULE:
                elsewhere.submodules[name] = blob
                continue
            content = _read(objects, blob, git)
            _write(folder, name, mode, content, app)
            pointer = read_pointer(content) if mode != _LINK else None
            if pointer:
                elsewhere.pointers[name] = pointer
        _input(objects).close()
    return elsewhere


def _files(git: Git, tree: str) -> Iterator[tuple[str, str, str]]:
    """Mode, id and name of every file and submodule."""
    for line in git.run("ls-tree", "-r", "-z", "--full-tree", tree).split("\0"):
        if line:
            facts, _, name = line.partition("\t")
            mode, _, blob = facts.split(" ")
            yield mode, blob, name


def _read(objects: subprocess.Popen[bytes], blob: str, git: Git) -> bytes:
    wants, gives = _input(objects), objects.stdout
    if gives is None:
        raise RuntimeError("git was started without a pipe")
    wants.write(f"{blob}\n".encode())
    wants.flush()
    head = gives.readline().split()
    if len(head) != 3:
        raise Permanent(
            Reason.SOURCE_REPOSITORY_UNAVAILABLE,
            f"The git repository {git.folder} is damaged: object {blob[:8]} is missing. If it is a mirror of "
            "Nightferry's, remove the folder: it is fetched again.",
        )
    content = gives.read(int(head[2]))
    gives.read(1)
    return content


def _input(objects: subprocess.Popen[bytes]) -> IO[bytes]:
    if objects.stdin is None:
        raise RuntimeError("git was started without a pipe")
    return objects.stdin


def _write(folder: Path, name: str, mode: str, content: bytes, app: Path) -> None:
    if {".", "..", ""} & set(name.split("/")):  # git itself makes no such tree, but fetches one
        raise Permanent(Reason.SOURCE_PATH_MISSING, f"The commit has a file named {name!r}, outside the app's folder.")
    path = folder / name
    for parent in reversed(path.relative_to(folder).parents[:-1]):
        _make_folder(folder / parent)
    if mode == _LINK:
        leads_to = Path(os.path.normpath(path.parent / os.fsdecode(content)))
        if not leads_to.is_relative_to(app) or os.fsdecode(content).startswith("/"):
            raise Permanent(
                Reason.SOURCE_PATH_MISSING,
                f"{name} is a symbolic link to {os.fsdecode(content)}, outside the app's folder; commit the file "
                "itself.",
            )
        path.symlink_to(os.fsdecode(content))
        return
    path.write_bytes(content)
    path.chmod(0o755 if mode == _PROGRAM else 0o644)


def _make_folder(folder: Path) -> None:
    """With modes that do not depend on the umask: they end up in the image."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
