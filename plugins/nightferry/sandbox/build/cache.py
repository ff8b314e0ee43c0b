"""What the sandbox makes once and keeps outside the checkout: compiled programs, toolchains, Azurite, the base image.

Each result is a folder named by its content's inputs. It is made in a neighbouring folder and renamed when complete, so
that a folder that exists is whole, whatever was killed; a file lock keeps two processes from making the same thing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox.layout import Owner


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/nightferry`, by default `~/.cache/nightferry` of the person whose sandbox it is."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if given.startswith("/") else Owner.current().home / ".cache"
    return base / "nightferry"


def fingerprint(root: Path, files: Iterable[Path], *more: str) -> str:
    """12 hex digits over the files' names below `root`, their contents, and over `more`."""
    digest = hashlib.sha256()
    for name, content in sorted((file.relative_to(root).as_posix(), file.read_bytes()) for file in files):
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    for text in more:
        digest.update(f"{len(text)} {text}\n".encode())
    return digest.hexdigest()[:12]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock among all processes of this machine that share the cache; waits for it. kill -9 releases it."""
    folder = cache_folder()
    for path in (folder.parent, folder):
        if not path.exists():
            path.mkdir(parents=True, exist_ok=True)
            Owner.current().take(path)
    with (folder / f".{name}.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The cache's folder `name`; where it does not exist yet, `make` fills it."""
    final = cache_folder() / name
    if final.is_dir():
        return final
    with locked(name):
        if not final.is_dir():
            partial = cache_folder() / f".{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            make(partial)
            _hand_over(partial)
            partial.rename(final)
    return final


def hand_over_all() -> None:
    """By way of sudo the cache is filled by root, but is its owner's to read and to remove."""
    for folder in cache_folder().iterdir():
        if folder.stat().st_uid == 0:
            _hand_over(folder)


def _hand_over(folder: Path) -> None:
    """Make a tree the owner's, who must be able to run and to remove it without sudo."""
    owner = Owner.current()
    if os.geteuid() == 0 and owner.uid != 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.uid, owner.gid, follow_symlinks=False)


def check_space(folder: Path, gigabytes: float) -> None:
    """Refuse what cannot fit.

    Raises:
        Permanent: (disk_full) `folder`'s disk has less than that many gigabytes left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        sentence = f"{folder} has {free:.1f} GB left and {gigabytes:g} GB are needed: free some space."
        raise Permanent(Reason.DISK_FULL, sentence)
