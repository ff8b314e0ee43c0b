"""The app's source code in a git repository, read with the git command."""

from __future__ import annotations

from pathlib import Path

from nightferry.clients.clock import Clock, SystemClock
from nightferry.clients.git import large_files, submodules
from nightferry.clients.git.checkout import Checkout
from nightferry.clients.git.command import SECONDS
from nightferry.clients.git.export import made_anew, write_tree
from nightferry.clients.git.mirror import Mirror
from nightferry.entities.candidate import PinnedSource
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

_DEEPEST = 10  # submodules in submodules


class GitSource:
    """A SourceRepository. The project's own repository is read where it is; others are mirrored in the work folder."""

    def __init__(
        self, repository: str, work: Path, root: Path, seconds: float = SECONDS, clock: Clock | None = None
    ) -> None:
        """Args: repository: `.` for the project's own, else an address; work: the work folder; root: the project;
        seconds: how long one git command may take; clock: the time."""
        self._name = repository
        self._work = work
        self._seconds = seconds
        self._clock = clock or SystemClock()
        self._repository: Checkout | Mirror = (
            Checkout(root, seconds)
            if repository == "."
            else Mirror(repository, work, seconds=seconds, clock=self._clock)
        )

    def pin(self, ref: str, path: str, tests: str | None) -> PinnedSource:
        """The commit that `ref` names now (a branch before a tag, a tag before a commit), and the app folder's tree."""
        commit = self._repository.resolve(ref)
        if commit is None:
            raise _unknown(self._repository, ref)
        tree = _tree(self._repository, commit, path)
        if tests is not None:
            _tree(self._repository, commit, tests)
        author = self._repository.git.quietly("show", "--no-patch", "--no-show-signature", "--format=%an <%ae>", commit)
        return PinnedSource(
            repository=self._name, ref=ref, commit=commit, tree=tree, path=path, tests=tests, author=author or ""
        )

    def export(self, commit: str, path: str, target: Path) -> None:
        """Write the folder `path` of a commit into `target`, exactly as committed, with the content of its submodules
        and of the files that Git LFS keeps."""
        if not self._repository.bring(commit):
            raise _unknown(self._repository, commit)
        with made_anew(target) as folder:
            self._write(self._repository, commit, path, folder, folder, _DEEPEST)

    def _write(
        self, repository: Checkout | Mirror, commit: str, path: str, folder: Path, app: Path, deeper: int
    ) -> None:
        elsewhere = write_tree(repository.git, _tree(repository, commit, path), folder, app)
        if elsewhere.pointers:
            self._write_large_files(repository, commit, path, elsewhere.pointers, folder)
        if elsewhere.submodules:
            known = submodules.addresses(repository.git, commit)
            for name, pinned in elsewhere.submodules.items():
                inside = _inside(path, name)
                self._write_submodule(repository, inside, known.get(inside), pinned, folder / name, app, deeper)

    def _write_large_files(
        self,
        repository: Checkout | Mirror,
        commit: str,
        path: str,
        pointers: dict[str, large_files.Pointer],
        folder: Path,
    ) -> None:
        store, why = repository.large_files, "they are not on the LFS server"
        if large_files.missing(pointers.values(), store):
            if isinstance(repository, Mirror):
                why = large_files.fetch_large_files(repository, commit, path) or why
            else:
                why = f"they are not in {store}, where `git lfs fetch` puts them"
        left = [_inside(path, name) for name in large_files.put_in_place(pointers, store, folder)]
        if left:
            raise large_files.incomplete(left, repository.shown, why)

    def _write_submodule(
        self,
        repository: Checkout | Mirror,
        name: str,
        written: str | None,
        commit: str,
        folder: Path,
        app: Path,
        deeper: int,
    ) -> None:
        what = f"The submodule {name} of {repository.shown}"
        if written is None or not deeper:
            why = "has no address in .gitmodules" if deeper else f"lies more than {_DEEPEST} submodules deep"
            raise Permanent(Reason.SOURCE_INCOMPLETE, f"{what} {why}; mend it, or commit the files themselves.")
        address = submodules.absolute(written, repository.address)
        inner = Mirror(
            address,
            self._work,
            seconds=self._seconds,
            clock=self._clock,
            protocols=submodules.protocols(repository.address),
        )
        try:
            if submodules.is_local(address) and not submodules.is_local(repository.address):
                raise Permanent(Reason.SOURCE_INCOMPLETE, f"{inner.shown} is on this machine, the app's code is not.")
            if not inner.bring(commit):
                raise _unknown(inner, commit)
            self._write(inner, commit, ".", folder, app, deeper - 1)
        except Temporary as fault:
            raise Temporary(fault.reason, f"{what}: {fault.sentence}") from fault
        except Permanent as fault:
            reason = Reason.DISK_FULL if fault.reason is Reason.DISK_FULL else Reason.SOURCE_INCOMPLETE
            raise Permanent(reason, f"{what} is missing: {fault.sentence}") from fault


def _tree(repository: Checkout | Mirror, commit: str, path: str) -> str:
    name = f"{commit}^{{tree}}" if path == "." else f"{commit}:{path.rstrip('/')}"
    found = repository.git.quietly("rev-parse", "--verify", "--quiet", name)
    if not found or repository.git.quietly("cat-file", "-t", found) != "tree":
        raise Permanent(
            Reason.SOURCE_PATH_MISSING,
            f"Commit {commit[:8]} of {repository.shown} has no folder {path!r}; correct source.path or source.tests "
            "in the service file.",
        )
    return found


def _inside(path: str, name: str) -> str:
    return name if path == "." else f"{path.rstrip('/')}/{name}"


def _unknown(repository: Checkout | Mirror, ref: str) -> Permanent:
    return Permanent(
        Reason.SOURCE_REF_UNKNOWN,
        f"The source repository {repository.shown} has no branch, tag or commit {ref!r}; correct source.ref in the "
        "service file, or the commit of the request.",
    )
