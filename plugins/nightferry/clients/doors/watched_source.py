"""The door to what changes in a git repository: heads, and the trees of folders at one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Trees(NamedTuple):
    """What a commit holds."""

    commit: str
    """The commit that was looked at; a branch may have moved on meanwhile."""
    author: str
    trees: Mapping[str, str]
    """Folder -> its tree's id; folders that are not there are left out."""


class WatchedSource(Protocol):
    """One repository."""

    def heads(self, refs: Sequence[str]) -> Mapping[str, str]:
        """The commits that branches, tags or `HEAD` name now, by the names that were asked for; one call to the server.

        A name that nothing has, and a commit's id, which never moves, are left out.

        Raises:
            Permanent: (source_repository_denied, source_repository_unavailable: no such repository)
            Temporary: (source_repository_unavailable)
        """
        ...

    def trees(self, ref: str, commit: str, folders: Sequence[str]) -> Trees:
        """What the commit holds that a ref named. It is fetched where it is not here.

        Raises as `heads`, and Permanent (disk_full, source_ref_unknown).
        """
        ...
