"""The door to the app's source code."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from nightferry.entities.candidate import PinnedSource


class SourceRepository(Protocol):
    """One git repository."""

    def pin(self, ref: str, path: str, tests: str | None) -> PinnedSource:
        """The commit that `ref` (branch, tag or commit) names now, and the tree of the app's folder in it.

        Raises:
            Permanent: (source_ref_unknown, source_path_missing, source_repository_denied,
                source_repository_unavailable: no such repository, disk_full)
            Temporary: (source_repository_unavailable)
        """
        ...

    def export(self, commit: str, path: str, target: Path) -> None:
        """Write the folder `path` of a commit into `target` (made anew), as committed; modes 0644/0755, no .git.

        What the commit only points to, submodules and the files that Git LFS keeps, is written with its content.

        Raises as `pin`, and:
            Permanent: (source_incomplete) something that the commit points to cannot be had; the sentence names it.
        """
        ...
