"""The app's source code in a git repository, read with the git command."""

from __future__ import annotations

import fcntl
import hashlib
import re
from pathlib import Path

from nightferry.clients.git.command import Git, GitFault
from nightferry.clients.git.export import export_tree
from nightferry.entities.candidate import PinnedSource
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

_COMMIT = re.compile(r"^[0-9a-f]{40}([0-9a-f]{24})?$")
_EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", "+HEAD:refs/nightferry/HEAD")
# What git says when trying again cannot help.
_HOPELESS = re.compile(
    r"not a git repository|does not appear to be a git repository|does not exist|not found|denied|"
    r"authentication failed|could not read Username|unable to find remote helper",
    re.IGNORECASE,
)


class GitSource:
    """A SourceRepository. The project's own repository is read where it is; others are mirrored in the work folder."""

    def __init__(self, repository: str, work: Path, root: Path) -> None:
        """Args: repository: `.` for the project's own, else an address; work: the work folder; root: the project."""
        self._repository = repository
        self._own = repository == "."
        name = hashlib.sha256(repository.encode()).hexdigest()[:16]
        self._folder = root if self._own else work / "sources" / f"{name}.git"
        self._git = Git(self._folder)

    def pin(self, ref: str, path: str, tests: str | None) -> PinnedSource:
        """The commit that `ref` names now (a branch before a tag, a tag before a commit), and the app folder's tree."""
        self._refresh()
        commit = self._commit(ref)
        tree = self._tree(commit, path)
        if tests is not None:
            self._tree(commit, tests)
        return PinnedSource(repository=self._repository, ref=ref, commit=commit, tree=tree, path=path, tests=tests)

    def export(self, commit: str, path: str, target: Path) -> None:
        """Write the folder `path` of a commit into `target`, exactly as committed."""
        if not self._has(commit):
            self._refresh()
            commit = self._commit(commit)
        export_tree(self._git, self._tree(commit, path), target)

    def _commit(self, ref: str) -> str:
        names = [f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/remotes/origin/{ref}"]
        if ref == "HEAD":
            names = ["HEAD" if self._own else "refs/nightferry/HEAD"]
        elif re.fullmatch(r"[0-9a-f]{7,64}", ref):
            names.append(ref)
        for name in names:
            found = self._git.quietly("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
            if found:
                return found
        if _COMMIT.match(ref) and not self._own and self._fetch_commit(ref):
            return ref
        raise Permanent(
            Reason.SOURCE_REF_UNKNOWN,
            f"The source repository {self._shown} has no branch, tag or commit {ref!r}; correct source.ref in the "
            "service file, or the commit of the request.",
        )

    def _tree(self, commit: str, path: str) -> str:
        name = f"{commit}^{{tree}}" if path == "." else f"{commit}:{path.rstrip('/')}"
        found = self._git.quietly("rev-parse", "--verify", "--quiet", name)
        if not found or self._git.quietly("cat-file", "-t", found) != "tree":
            raise Permanent(
                Reason.SOURCE_PATH_MISSING,
                f"Commit {commit[:8]} of {self._shown} has no folder {path!r}; correct source.path or source.tests in "
                "the service file.",
            )
        return found

    def _has(self, commit: str) -> bool:
        return self._folder.is_dir() and self._git.quietly("cat-file", "-e", f"{commit}^{{commit}}") is not None

    def _refresh(self) -> None:
        """Bring the mirror up to date; the project's own repository needs none."""
        try:
            if self._own:
                self._git.run("rev-parse", "--git-dir")
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder.parent / f"{self._folder.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._git.run("init", "--bare", "--quiet")
                self._git.run("fetch", "--quiet", "--prune", "--force", "--", self._repository, *_EVERYTHING)
        except GitFault as fault:
            kind = Permanent if _HOPELESS.search(fault.said) else Temporary
            raise kind(
                Reason.SOURCE_REPOSITORY_UNAVAILABLE,
                f"The source repository {self._shown} cannot be read: {fault.said}",
            ) from fault

    def _fetch_commit(self, commit: str) -> bool:
        """A commit that no branch or tag reaches: many servers give it when asked for by its id."""
        try:
            self._git.run("fetch", "--quiet", "--", self._repository, commit)
        except GitFault:
            return False
        return self._has(commit)

    @property
    def _shown(self) -> str:
        """The repository as sentences name it."""
        return str(self._folder) if self._own else self._repository
