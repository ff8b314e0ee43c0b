"""A shallow mirror of a repository elsewhere: it holds the commits that were asked for, each without its history."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nightferry.clients.clock import Clock
from nightferry.clients.full_disk import full_disk
from nightferry.clients.git.command import Git, GitFault, GitTooSlow
from nightferry.clients.git.words import masked, unreadable
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_KEPT = "refs/nightferry"
_HISTORY = ("+refs/heads/*:refs/history/heads/*", "+refs/tags/*:refs/history/tags/*")
_ENDLESS = str(2**31 - 1)
_MOST_NAMED = 400
"""More names than that are not said to a server: all that it has are asked for."""


class Mirror:
    """One repository. A commit is here if, and only if, `refs/nightferry/<commit>` names it: git writes that ref once
    all objects have come, so a fetch that was killed leaves nothing that looks whole.

    Any number of processes may use one mirror: they read side by side and fetch one after the other.
    """

    def __init__(self, address: str, work: Path, *, seconds: float, clock: Clock, protocols: str | None = None) -> None:
        """Args: address: what git understands; work: the work folder; seconds: the limit for one git command, and for
        waiting for another fetch; protocols: as in `Git`."""
        self.address = address
        self.shown = masked(address)
        folder = work / "sources" / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}.git"
        self.git = Git(folder, seconds, protocols, itself=True)
        self.large_files = folder / "lfs" / "objects"
        self._outside = Git(Path("/"), seconds, protocols)
        self._seconds = seconds
        self._clock = clock

    def resolve(self, ref: str) -> str | None:
        """The commit that a branch, else a tag, else a commit's id names now; None where none does.

        Raises:
            Permanent: (source_repository_denied, source_repository_unavailable: no such repository, disk_full)
            Temporary: (source_repository_unavailable)
        """
        names = ("HEAD",) if ref == "HEAD" else (f"refs/heads/{ref}", f"refs/tags/{ref}")
        advertised = self._advertised(*names, f"refs/tags/{ref}^{{}}")
        for name in names:
            if name in advertised:
                commit = advertised.get(f"{name}^{{}}", advertised[name])
                return commit if self._has(commit) else self._fetch(name)
        if _COMMIT.fullmatch(ref):
            return ref if self.bring(ref) else None
        return self._from_tips_or_history(ref) if re.fullmatch(r"[0-9a-f]{7,63}", ref) else None

    def bring(self, commit: str) -> bool:
        """Have a commit here; False where the repository has none of that id. Raises as `resolve`.

        Servers give a commit when asked for by its id; one that does not is asked for the whole history.
        """
        if self._has(commit):
            return True
        try:
            return self._fetch_as_told(commit, "--depth", "1") == commit
        except GitFault as fault:
            if "not our ref" in fault.said:
                return False
            told = unreadable(fault.said, self.shown)
            if isinstance(fault, GitTooSlow) or told.reason is Reason.DISK_FULL:
                raise told from fault
        return self._from_tips_or_history(commit) is not None

    def named(self, refs: Sequence[str]) -> dict[str, str]:
        """The commits that branches, else tags, or HEAD name now, by the names that were asked for; one call to the
        server. Names that nothing has are left out. Raises as `resolve`."""
        wanted = {ref: ("HEAD",) if ref == "HEAD" else (f"refs/heads/{ref}", f"refs/tags/{ref}") for ref in refs}
        names = [name for pair in wanted.values() for one in pair for name in (one, f"{one}^{{}}")]
        if not names:
            return {}
        advertised = self._advertised(*names) if len(names) <= _MOST_NAMED else self._advertised()
        if len(names) > _MOST_NAMED and "HEAD" in wanted:
            advertised |= self._advertised("HEAD")
        found = {}
        for ref, pair in wanted.items():
            for name in pair:
                if name in advertised:
                    found[ref] = advertised.get(f"{name}^{{}}", advertised[name])
                    break
        return found

    def bring_head(self, ref: str, commit: str) -> bool:
        """Have the commit here that a ref named a moment ago; False where that ref names another one, or none. Raises
        as `resolve`."""
        return self._has(commit) or self.resolve(ref) == commit

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the mirror alone, for writing: it is made if need be, and has no lock files of a killed git in it.

        Raises:
            Permanent: (disk_full)
            Temporary: (source_repository_unavailable) another fetch goes on for longer than the limit.
            GitFault: git cannot make the mirror.
        """
        folder = self.git.folder
        with full_disk(folder.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{folder.name}.lock").open("w") as lock:
            self._wait_for(lock.fileno())
            # A git that is killed leaves these; none is at work now.
            for left in [*folder.rglob("*.lock"), *folder.glob("objects/pack/tmp_*")]:
                left.unlink(missing_ok=True)
            self.git.write("init", "--bare", "--quiet")
            yield

    def _wait_for(self, lock: int) -> None:
        deadline = self._clock.monotonic() + self._seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as fault:
                if self._clock.monotonic() >= deadline:
                    raise Temporary(
                        Reason.SOURCE_REPOSITORY_UNAVAILABLE,
                        f"Another fetch of {self.shown} has gone on for {self._seconds:g} seconds.",
                    ) from fault
                self._clock.sleep(0.1)

    def _advertised(self, *names: str) -> dict[str, str]:
        """Refs of the repository and what they name; all branches and tags if none is asked for."""
        # Named so, the server leaves out what else it has: a hosting site has a ref for every pull request.
        kinds = [] if "HEAD" in names else ["--heads", "--tags"]
        try:
            lines = self._outside.run("ls-remote", *kinds, "--", self.address, *names).splitlines()
        except GitFault as fault:
            raise unreadable(fault.said, self.shown) from fault
        pairs = (line.partition("\t") for line in lines)
        return {name: commit for commit, _, name in pairs if not names or name in names}

    def _has(self, commit: str) -> bool:
        return (
            self.git.folder.is_dir()
            and self.git.quietly("rev-parse", "--verify", "--quiet", f"{_KEPT}/{commit}^{{commit}}") == commit
        )

    def _fetch(self, name: str) -> str | None:
        try:
            return self._fetch_as_told(name, "--depth", "1")
        except GitFault as fault:
            raise unreadable(fault.said, self.shown) from fault

    def _fetch_as_told(self, what: str, *options: str) -> str | None:
        """Fetch a ref or a commit and keep it: the commit, None where it is none."""
        with self.locked():
            if _COMMIT.fullmatch(what) and self._has(what):  # another was quicker
                return what
            self.git.write("fetch", "--quiet", "--no-auto-gc", "--no-tags", *options, "--", self.address, what)
            return self._keep("FETCH_HEAD")

    def _keep(self, name: str) -> str | None:
        commit = self.git.quietly("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        if commit:
            self.git.write("update-ref", f"{_KEPT}/{commit}", commit)
            self.git.quietly("-c", "gc.autoDetach=false", "gc", "--auto", "--quiet")
        return commit

    def _from_history(self, commit: str) -> str | None:
        """A commit by its id or the beginning of it, out of the history of all branches and tags."""
        try:
            with self.locked():
                self.git.write(
                    *("fetch", "--quiet", "--no-auto-gc", "--prune", "--force", "--depth", _ENDLESS),
                    *("--", self.address, *_HISTORY),
                )
                return self._keep(commit)
        except GitFault as fault:
            raise unreadable(fault.said, self.shown) from fault

    def _from_tips_or_history(self, beginning: str) -> str | None:
        """A commit by its id or the beginning of it. Those that refs name now are fetched by the ref's name."""
        tips = {name: tip for name, tip in self._advertised().items() if tip.startswith(beginning)}
        if len(set(tips.values())) == 1:
            found = self._fetch(next(iter(tips)).removesuffix("^{}"))
            if found and found.startswith(beginning):
                return found
        return self._from_history(beginning)
