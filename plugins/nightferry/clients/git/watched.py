"""What changes in a git repository, with one `ls-remote` a look; only a head that moved is fetched, without history."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nightferry.clients.clock import Clock
from nightferry.clients.doors.watched_source import Trees
from nightferry.clients.git.checkout import Checkout
from nightferry.clients.git.command import SECONDS, Git, GitFault
from nightferry.clients.git.mirror import Mirror
from nightferry.clients.git.words import unreadable
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.git_address import OWN
from nightferry.errors import Permanent

LOOK_SECONDS = 20.0
"""How long a server may take to name its heads; fetching a commit may take as long as for a decision."""
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class WatchedGit:
    """A WatchedSource: a repository elsewhere through its mirror, or the project's own where it is."""

    def __init__(self, address: str, work: Path, root: Path, clock: Clock, seconds: float = SECONDS) -> None:
        """Args: address: `.` for the project's own; work: the work folder; root: the project; seconds: the limit for
        fetching a commit."""
        self._repository: Checkout | Mirror = (
            Checkout(root, seconds) if address == OWN else Mirror(address, work, seconds=seconds, clock=clock)
        )
        self._asked = Mirror(address, work, seconds=min(LOOK_SECONDS, seconds), clock=clock)

    def heads(self, refs: Sequence[str]) -> Mapping[str, str]:
        """What the names mean now."""
        named = [ref for ref in dict.fromkeys(refs) if not _COMMIT.fullmatch(ref)]
        if isinstance(self._repository, Checkout):
            found = {ref: self._repository.resolve(ref) for ref in named}
            return {ref: commit for ref, commit in found.items() if commit}
        return self._asked.named(named)

    def trees(self, ref: str, commit: str, folders: Sequence[str]) -> Trees:
        """What the commit holds, or the one that the ref names by now."""
        found: str | None = commit if self._repository.bring_head(ref, commit) else None
        if found is None:
            found = self._repository.resolve(ref)
        if found is None:
            raise Permanent(
                Reason.SOURCE_REF_UNKNOWN,
                f"The source repository {self._repository.shown} has no branch or tag {ref!r} any more.",
            )
        author = self._repository.git.quietly("log", "-1", "--format=%an", found) or ""
        return Trees(found, author, trees_of(self._repository.git, found, folders))


def trees_of(git: Git, commit: str, folders: Sequence[str]) -> dict[str, str]:
    """Folder -> tree at a commit, of those that are there; git is called once, however many there are."""
    names = {folder: commit + (":" if folder == "." else f":{folder.strip('/')}") for folder in folders}
    try:
        said = git.batch("cat-file", "--batch-check", lines=list(names.values()))
    except GitFault as fault:
        raise unreadable(fault.said, str(git.folder)) from fault
    found = {}
    for folder, line in zip(names, said, strict=True):
        tree, _, rest = line.partition(" ")
        if rest.startswith("tree "):
            found[folder] = tree
    return found
