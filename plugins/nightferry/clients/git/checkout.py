"""The project's own repository, read where it is: nothing is fetched into it."""

from __future__ import annotations

import re
from pathlib import Path

from nightferry.clients.git.command import Git, GitFault
from nightferry.clients.git.words import unreadable


class Checkout:
    """One repository on this machine."""

    def __init__(self, root: Path, seconds: float) -> None:
        """Args: root: the checkout; seconds: the limit for one git command."""
        self.git = Git(root, seconds)
        self.shown = str(root)

    @property
    def address(self) -> str:
        """Where it was cloned from, else itself: the relative addresses of submodules start there."""
        return self.git.quietly("config", "--get", "remote.origin.url") or str(self.git.folder)

    @property
    def large_files(self) -> Path:
        """Where git-lfs keeps what it has fetched."""
        return self.git.folder / (self.git.quietly("rev-parse", "--git-common-dir") or ".git") / "lfs" / "objects"

    def resolve(self, ref: str) -> str | None:
        """The commit that a branch (one of the remote `origin` last), a tag or a commit's id names; None where none
        does.

        Raises:
            Permanent: (source_repository_unavailable) it is no repository.
        """
        self._look()
        names = [f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/remotes/origin/{ref}"]
        if ref == "HEAD":
            names = ["HEAD"]
        elif re.fullmatch(r"[0-9a-f]{7,64}", ref):
            names.append(ref)
        found = (self.git.quietly("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}") for name in names)
        return next(filter(None, found), None)

    def bring(self, commit: str) -> bool:
        """Whether the commit is here. Raises as `resolve`."""
        self._look()
        return self.git.quietly("cat-file", "-e", f"{commit}^{{commit}}") is not None

    def bring_head(self, ref: str, commit: str) -> bool:
        """Whether the commit is here, whatever the ref names. Raises as `resolve`."""
        return self.bring(commit)

    def _look(self) -> None:
        try:
            self.git.run("rev-parse", "--git-dir")
        except GitFault as fault:
            raise unreadable(fault.said, self.shown) from fault
