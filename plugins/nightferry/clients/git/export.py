"""Write a git tree into a folder exactly as committed: no attribute, filter or line ending setting has a say."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from nightferry.clients.full_disk import full_disk
from nightferry.clients.git.command import Git, environment
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

_LINK, _MODULE, _PROGRAM = "120000", "160000", "100755"


def export_tree(git: Git, tree: str, target: Path) -> None:
    """Write the files of a tree.

    Args:
        git: the repository.
        tree: the tree's id.
        target: made anew; what was there is gone. Until all is written it has another name.

    Raises:
        Permanent: (source_path_missing: a symbolic link leaves the folder, disk_full)
    """
    coming = target.with_name(f".{target.name}.part")
    shutil.rmtree(coming, ignore_errors=True)
    try:
        with full_disk(target.parent):
            _make_folder(coming)
            with subprocess.Popen(
                git.words("cat-file", "--batch"), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as objects:
                for mode, blob, name in _files(git, tree):
                    _write(coming, name, mode, _read(objects, blob))
                _input(objects).close()
        shutil.rmtree(target, ignore_errors=True)
        coming.rename(target)
    except BaseException:
        shutil.rmtree(coming, ignore_errors=True)
        raise


def _files(git: Git, tree: str) -> Iterator[tuple[str, str, str]]:
    """Mode, id and name of every file. A submodule's content is in another repository: it is left out."""
    for line in git.run("ls-tree", "-r", "-z", "--full-tree", tree).split("\0"):
        if line:
            facts, _, name = line.partition("\t")
            mode, _, blob = facts.split(" ")
            if mode != _MODULE:
                yield mode, blob, name


def _read(objects: subprocess.Popen[bytes], blob: str) -> bytes:
    wants, gives = _input(objects), objects.stdout
    if gives is None:
        raise RuntimeError("git was started without a pipe")
    wants.write(f"{blob}\n".encode())
    wants.flush()
    size = int(gives.readline().split()[-1])
    content = gives.read(size)
    gives.read(1)
    return content


def _input(objects: subprocess.Popen[bytes]) -> IO[bytes]:
    if objects.stdin is None:
        raise RuntimeError("git was started without a pipe")
    return objects.stdin


def _write(folder: Path, name: str, mode: str, content: bytes) -> None:
    path = folder / name
    for parent in reversed(path.relative_to(folder).parents[:-1]):
        _make_folder(folder / parent)
    if mode == _LINK:
        leads_to = Path(os.path.normpath(path.parent / os.fsdecode(content)))
        if not leads_to.is_relative_to(folder) or os.fsdecode(content).startswith("/"):
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
