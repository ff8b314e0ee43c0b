"""Files that a commit only points to because Git LFS keeps them.

The pointer's format: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from nightferry.clients.git.command import GitFault
from nightferry.clients.git.mirror import Mirror
from nightferry.clients.git.words import masked
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

_POINTER = re.compile(
    rb"version https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v1\n"
    rb"(?P<extended>(?:ext-[^\n]*\n)*)oid sha256:(?P<sha256>[0-9a-f]{64})\nsize [0-9]+\n?"
)
_LONGEST = 1024
_PIECE = 1 << 20
# What git-lfs says when the server answered and does not give the file.
_REFUSED = re.compile(
    r"missing object|does not exist|not found|authoriz|authenticat|denied|\b40[134]\b|certificate", re.IGNORECASE
)


class Pointer(NamedTuple):
    """What Git LFS keeps for one file."""

    sha256: str
    extended: bool
    """Another program than git-lfs has to make the file of what is kept."""

    def file(self, store: Path) -> Path:
        """Where git-lfs keeps it."""
        return store / self.sha256[:2] / self.sha256[2:4] / self.sha256


def read_pointer(content: bytes) -> Pointer | None:
    """The pointer that is committed in place of a file's content; None where the content itself is."""
    found = _POINTER.fullmatch(content) if len(content) < _LONGEST else None
    return Pointer(found["sha256"].decode(), bool(found["extended"])) if found else None


def fetch_large_files(mirror: Mirror, commit: str, path: str) -> str:
    """Let git-lfs fetch what the folder `path` of a commit points to; what it says if it cannot, else nothing.

    Raises:
        Temporary: (source_repository_unavailable) the server did not answer.
    """
    if mirror.git.quietly("lfs", "version") is None:
        return "git-lfs is not installed here"
    server = mirror.git.quietly("config", "--blob", f"{commit}:.lfsconfig", "--get", "lfs.url")
    addresses = [f"remote.origin.url={mirror.address}"] + ([f"lfs.url={server}"] if server else [])
    include = [] if path == "." else ["--include", path]
    try:
        with mirror.locked():
            mirror.git.write(
                *(word for one in addresses for word in ("-c", one)), "lfs", "fetch", "origin", commit, *include
            )
    except GitFault as fault:
        if not _REFUSED.search(fault.said):
            raise Temporary(
                Reason.SOURCE_REPOSITORY_UNAVAILABLE,
                f"The files of {mirror.shown} that Git LFS keeps cannot be fetched: {fault.said}",
            ) from fault
        return fault.said
    return ""


def missing(pointers: Iterable[Pointer], store: Path) -> bool:
    """Whether one of the files is not in git-lfs' store."""
    return any(not pointer.file(store).is_file() for pointer in pointers)


def put_in_place(pointers: dict[str, Pointer], store: Path, folder: Path) -> list[str]:
    """Write the files over their pointers, each verified by its sha256; the names of those that are not in the store
    as they should be."""
    return [name for name, pointer in pointers.items() if not _copied(pointer, store, folder / name)]


def incomplete(names: list[str], shown: str, why: str) -> Permanent:
    """The refusal that names the files."""
    some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return Permanent(
        Reason.SOURCE_INCOMPLETE,
        f"Git LFS keeps {some} of {shown}, and cannot give them: {masked(why).rstrip('.')}. Install git-lfs where "
        "Airflow runs, push the files with `git lfs push`, or commit the files themselves.",
    )


def _copied(pointer: Pointer, store: Path, target: Path) -> bool:
    digest = hashlib.sha256()
    if pointer.extended:
        return False
    try:
        source = pointer.file(store).open("rb")
    except OSError:
        return False
    with source, target.open("wb") as out:
        while piece := source.read(_PIECE):
            digest.update(piece)
            out.write(piece)
    return digest.hexdigest() == pointer.sha256
