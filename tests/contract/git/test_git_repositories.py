"""What only git does: exact files, servers with their ways, mirrors that several processes use and that get killed."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from nightferry.clients import connect
from nightferry.clients.git.command import Git, GitFault
from nightferry.clients.git.source import GitSource
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Source
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.settings import Settings

from tests.fakes.git_origin import Origin, served
from tests.fakes.still_clock import StillClock

REPOSITORY = Path(__file__).resolve().parents[3]
SSH = "ssh://git@git.example.org/app.git"


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    repository = Origin(tmp_path / "origin")
    repository.commit({"app/main.py": "print(1)\n", "tests/app/test.py": "def test(): ...\n"})
    return repository


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture(params=["own", "mirrored"])
def source(request: pytest.FixtureRequest, origin: Origin, work: Path) -> GitSource:
    return GitSource("." if request.param == "own" else origin.address, work, origin.folder)


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let a script be the ssh that git runs."""

    def becomes(script: str) -> None:
        program = tmp_path / "ssh"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("GIT_SSH_COMMAND", str(program))

    return becomes


def mirrored(address: str, work: Path, **settings) -> GitSource:
    return GitSource(address, work, work / "no project", **settings)


def mirror_of(work: Path) -> Path:
    (folder,) = (work / "sources").glob("*.git")
    return folder


def failure_of(call, *arguments) -> NightferryError:
    with pytest.raises(NightferryError) as failure:
        call(*arguments)
    return failure.value


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# What is written


def test_the_tree_is_gits_own_id(source: GitSource, origin: Origin):
    assert source.pin("main", "app", None).tree == origin.git("rev-parse", "HEAD:app")
    assert source.pin("main", ".", None).tree == origin.git("rev-parse", "HEAD^{tree}")


def test_export_writes_what_was_committed(source: GitSource, origin: Origin, tmp_path: Path):
    # Neither attributes nor the umask may change what is built.
    origin.write({"app/.gitattributes": "run.sh export-ignore ident\n", "app/run.sh": b"#!/bin/sh\r\n$Id$\n"})
    (origin.folder / "app" / "run.sh").chmod(0o777)
    (origin.folder / "app" / "link").symlink_to("deep/näme with space")
    commit = origin.commit({"app/deep/näme with space": b"\x00\xff\n"})
    target = tmp_path / "exported"
    before = os.umask(0o077)
    try:
        source.export(commit, "app", target)
    finally:
        os.umask(before)
    files = {str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()}
    assert files == {".gitattributes", "main.py", "run.sh", "link", "deep/näme with space"}
    assert (target / "run.sh").read_bytes() == b"#!/bin/sh\r\n$Id$\n"
    assert (target / "link").read_bytes() == b"\x00\xff\n"
    modes = [oct((target / name).stat().st_mode & 0o777) for name in ("run.sh", "main.py", "deep")]
    assert modes == ["0o755", "0o644", "0o755"]
    assert not list(tmp_path.glob(".exported*"))


def test_uncommitted_work_is_not_released(origin: Origin, work: Path, tmp_path: Path):
    source = GitSource(".", work, origin.folder)
    origin.write({"app/main.py": "print('not yet')\n"})
    source.export(source.pin("main", "app", None).commit, "app", tmp_path / "exported")
    assert (tmp_path / "exported" / "main.py").read_text() == "print(1)\n"


@pytest.mark.parametrize("leads_to", ["../../etc/passwd", "/etc/passwd", "../tests"])
def test_a_link_out_of_the_app_is_refused(source: GitSource, origin: Origin, tmp_path: Path, leads_to: str):
    (origin.folder / "app" / "link").symlink_to(leads_to)
    failure = failure_of(source.export, origin.commit(), "app", tmp_path / "exported")
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SOURCE_PATH_MISSING
    assert not list(tmp_path.glob("*exported*"))


def test_a_name_out_of_the_app_is_refused(source: GitSource, origin: Origin, tmp_path: Path):
    """Such a tree is made by hand only; git fetches it all the same."""
    blob = origin.git("rev-parse", "HEAD:app/main.py")

    def tree(line: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(origin.folder), "mktree"], input=line + "\n", capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    outside = tree(f"100644 blob {blob}\tescaped.py")
    app = tree(f"040000 tree {outside}\t..")
    commit = origin.git("commit-tree", "-m", "bad", tree(f"040000 tree {app}\tapp"))
    origin.git("update-ref", "refs/heads/main", commit)
    failure = failure_of(source.export, commit, "app", tmp_path / "exported")
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SOURCE_PATH_MISSING
    assert not list(tmp_path.rglob("escaped.py"))


# Servers


def test_a_head_that_names_no_branch_does_not_matter_to_another_ref(origin: Origin, work: Path):
    commit = origin.head
    origin.git("symbolic-ref", "HEAD", "refs/heads/gone")
    source = mirrored(origin.address, work)
    assert source.pin("main", "app", None).commit == commit
    assert failure_of(source.pin, "HEAD", "app", None).reason == Reason.SOURCE_REF_UNKNOWN


def test_only_the_wanted_commit_is_fetched(origin: Origin, work: Path):
    old = origin.head
    origin.git("branch", "other")
    new = origin.commit({"app/main.py": "print(2)\n"})
    mirrored(origin.address, work).pin("main", "app", None)
    present = subprocess.run(
        ["git", "-C", str(mirror_of(work)), "cat-file", "--batch-check"],
        input=f"{old}\n{new}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split()[1] for line in present.stdout.splitlines()] == ["missing", "commit"]


def test_a_repository_that_is_shallow_itself(origin: Origin, work: Path, tmp_path: Path):
    commit = origin.commit({"app/main.py": "print(2)\n"})
    origin.git("clone", "-q", "--depth", "1", origin.address, str(tmp_path / "shallow"))
    assert mirrored(f"file://{tmp_path}/shallow", work).pin("main", "app", None).commit == commit


@pytest.mark.parametrize("gives_by_id", [True, False])
def test_a_commit_that_the_mirror_no_longer_has_is_fetched(
    origin: Origin, work: Path, tmp_path: Path, gives_by_id: bool
):
    """A run is cleared weeks later: on another machine, or after the work folder was emptied."""
    commit = origin.head
    origin.commit({"app/main.py": "print(2)\n"})
    with served(tmp_path, newest_protocol=gives_by_id) as server:
        address = f"{server}/origin/.git"
        plain = tmp_path / "plain.git"
        subprocess.run(["git", "init", "-q", "--bare", str(plain)], check=True)
        # The control: whether this server gives it by its id.
        by_id = subprocess.run(["git", "-C", str(plain), "fetch", "-q", address, commit], check=False)
        assert (by_id.returncode == 0) is gives_by_id
        source = mirrored(address, work)
        source.pin("main", "app", None)
        source.export(commit, "app", tmp_path / "exported")
    assert (tmp_path / "exported" / "main.py").read_text() == "print(1)\n"


@pytest.mark.parametrize("gives_by_id", [True, False])
def test_a_commit_that_was_pushed_away(origin: Origin, work: Path, tmp_path: Path, gives_by_id: bool):
    """The mirror that pinned it keeps it; another gets it where the server gives commits by their id."""
    with served(tmp_path, newest_protocol=gives_by_id) as server:
        address = f"{server}/origin/.git"
        commit = mirrored(address, work).pin("main", "app", None).commit
        origin.git("commit", "-q", "--amend", "-m", "another history")
        mirrored(address, work).pin("main", "app", None)
        mirrored(address, work).export(commit, "app", tmp_path / "exported")
        other = mirrored(address, tmp_path / "other")
        if gives_by_id:
            other.export(commit, "app", tmp_path / "exported too")
        else:
            failure = failure_of(other.export, commit, "app", tmp_path / "exported too")
            assert failure.reason == Reason.SOURCE_REF_UNKNOWN
    assert (tmp_path / "exported" / "main.py").read_text() == "print(1)\n"


def test_a_folder_that_is_no_repository(tmp_path: Path, work: Path):
    for source in (GitSource(".", work, tmp_path), mirrored(f"file://{tmp_path}/none", work)):
        failure = failure_of(source.pin, "main", "app", None)
        assert isinstance(failure, Permanent)
        assert failure.reason == Reason.SOURCE_REPOSITORY_UNAVAILABLE


@pytest.mark.parametrize("login", ["ana:secret", "secret", "ana:se@secret", "ana:se/secret", "ana:x%2Fsecret"])
def test_a_server_that_does_not_answer(work: Path, login: str):
    source = mirrored(f"http://{login}@127.0.0.1:9/app.git", work)
    failure = failure_of(source.pin, "main", "app", None)
    assert isinstance(failure, Temporary)
    assert failure.reason == Reason.SOURCE_REPOSITORY_UNAVAILABLE
    assert "secret" not in failure.sentence


@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_what_an_http_server_says(work: Path, tmp_path: Path, status: int):
    kind, reason = {
        401: (Permanent, Reason.SOURCE_REPOSITORY_DENIED),
        403: (Permanent, Reason.SOURCE_REPOSITORY_DENIED),
        404: (Permanent, Reason.SOURCE_REPOSITORY_UNAVAILABLE),
        503: (Temporary, Reason.SOURCE_REPOSITORY_UNAVAILABLE),
    }[status]
    with served(tmp_path, status=status) as server:
        address = server.replace("//", "//ana:secret@") + "/app.git"
        failure = failure_of(mirrored(address, work).pin, "main", "app", None)
    assert (type(failure), failure.reason) == (kind, reason)
    assert "secret" not in failure.sentence


REFUSED = {
    "No ED25519 host key is known for git.example.org and you have requested strict checking.\n"
    "Host key verification failed.": "Host key verification failed",
    "@@@@@@@@\n@  WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!  @\n@@@@@@@@\nIT IS POSSIBLE …\n"
    "Host key for git.example.org has changed and you have requested strict checking.\n"
    "Host key verification failed.": "has changed",
    "Warning: Permanently added 'git.example.org' (ED25519) to the list of known hosts.\n"
    "git@git.example.org: Permission denied (publickey).": "Permission denied (publickey)",
}
NOT_THERE = {"ERROR: Repository not found.": "Repository not found"}
TRY_AGAIN = {
    "ssh: connect to host git.example.org port 22: Connection timed out": "Connection timed out",
    "ssh: connect to host git.example.org port 22: Connection refused": "Connection refused",
    "ssh: Could not resolve hostname git.example.org: Name or service not known": "Could not resolve",
    "kex_exchange_identification: Connection closed by remote host": "closed by remote host",
}


@pytest.mark.parametrize(
    ("said", "in_the_sentence", "kind", "reason"),
    [(*words, Permanent, Reason.SOURCE_REPOSITORY_DENIED) for words in REFUSED.items()]
    + [(*words, Permanent, Reason.SOURCE_REPOSITORY_UNAVAILABLE) for words in NOT_THERE.items()]
    + [(*words, Temporary, Reason.SOURCE_REPOSITORY_UNAVAILABLE) for words in TRY_AGAIN.items()],
)
def test_what_ssh_says(ssh, work: Path, said: str, in_the_sentence: str, kind: type, reason: Reason):
    ssh(f"cat >&2 <<'END'\n{said}\nEND\nexit 255")
    failure = failure_of(mirrored(SSH, work).pin, "main", "app", None)
    assert (type(failure), failure.reason) == (kind, reason)
    assert in_the_sentence in failure.sentence


def test_a_server_that_is_silent(ssh, work: Path, tmp_path: Path):
    ssh(f"echo $$ >{tmp_path}/started; exec sleep 600")
    failure = failure_of(mirrored(SSH, work, seconds=0.5).pin, "main", "app", None)
    assert isinstance(failure, Temporary)
    assert failure.reason == Reason.SOURCE_REPOSITORY_UNAVAILABLE
    assert "NIGHTFERRY_GIT_SECONDS" in failure.sentence
    wait_until(lambda: not is_alive(int((tmp_path / "started").read_text())))


def test_the_limit_is_a_setting(ssh, tmp_path: Path):
    ssh("exec sleep 600")
    settings = Settings(tmp_path, tmp_path, {"NIGHTFERRY_GIT_SECONDS": "0.25"})
    failure = failure_of(connect.source(settings, Source(repository=SSH)).pin, "main", "app", None)
    assert "0.25 seconds" in failure.sentence


@pytest.mark.parametrize("given", ["soon", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_none(tmp_path: Path, given: str):
    failure = failure_of(Settings, tmp_path, tmp_path, {"NIGHTFERRY_GIT_SECONDS": given})
    assert isinstance(failure, Permanent)
    assert failure.reason == Reason.SETTING_INVALID
    assert "NIGHTFERRY_GIT_SECONDS" in failure.sentence


# Several at once, and killed


def test_many_fetch_into_one_mirror_at_the_same_moment(origin: Origin, work: Path, tmp_path: Path):
    """As services do that share a repository, and the tasks of one release."""
    commits = {}
    for number in range(4):
        origin.git("checkout", "-q", "-b", f"branch-{number}", "main")
        commits[f"branch-{number}"] = origin.commit({"app/main.py": f"print({number})\n"})
    wanted = [*commits, *commits]

    def pin_and_export(number: int) -> tuple[str, str]:
        source, target = mirrored(origin.address, work), tmp_path / f"exported-{number}"
        commit = source.pin(wanted[number], "app", None).commit
        source.export(commit, "app", target)
        return commit, (target / "main.py").read_text()

    with ThreadPoolExecutor(len(wanted)) as threads:
        found = list(threads.map(pin_and_export, range(len(wanted))))
    assert found == [(commits[name], f"print({name[-1]})\n") for name in wanted]


def test_a_fetch_that_waits_too_long_for_another(origin: Origin, work: Path):
    clock = StillClock()
    source = mirrored(origin.address, work, clock=clock)
    source.pin("main", "app", None)
    commit = origin.commit({"app/main.py": "print(2)\n"})
    with Path(f"{mirror_of(work)}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        failure = failure_of(source.pin, "main", "app", None)
        assert isinstance(failure, Temporary)
        assert failure.reason == Reason.SOURCE_REPOSITORY_UNAVAILABLE
        assert clock.slept == pytest.approx(300, abs=1)
    assert source.pin("main", "app", None).commit == commit


def test_a_mirror_that_is_none_any_more_is_not_the_checkout_around_it(tmp_path: Path):
    """Somebody removed it meanwhile; the work folder lies in the project's own checkout."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    folder = tmp_path / "sources" / "removed.git"
    folder.mkdir(parents=True)
    assert Git(folder).run("rev-parse", "--absolute-git-dir") == str(tmp_path / ".git"), "the control"
    with pytest.raises(GitFault):
        Git(folder, itself=True).run("rev-parse", "--absolute-git-dir")


def test_lock_files_of_a_killed_git_do_not_matter(origin: Origin, work: Path):
    source = mirrored(origin.address, work)
    source.pin("main", "app", None)
    commit = origin.commit({"app/main.py": "print(2)\n"})
    folder = mirror_of(work)
    left = [
        "shallow.lock",
        "config.lock",
        "packed-refs.lock",
        f"refs/nightferry/{commit}.lock",
        "objects/pack/tmp_pack_x",
    ]
    for name in left:
        (folder / name).touch()
    assert source.pin("main", "app", None).commit == commit
    assert not [name for name in left if (folder / name).exists()]


def test_a_process_killed_while_it_fetches(origin: Origin, ssh, work: Path, tmp_path: Path):
    commit = origin.head
    ssh(f"echo $PPID >{tmp_path}/coming; mv {tmp_path}/coming {tmp_path}/started; cat >/dev/null")
    program = (
        "import sys; from pathlib import Path; from nightferry.clients.git.source import GitSource\n"
        "GitSource(sys.argv[1], Path(sys.argv[2]), Path('/')).export(sys.argv[3], 'app', Path(sys.argv[4]))"
    )
    words = [SSH, str(work), commit, str(tmp_path / "never")]
    killed = subprocess.Popen(
        [sys.executable, "-c", program, *words], env=os.environ | {"PYTHONPATH": str(REPOSITORY / "plugins")}
    )
    wait_until((tmp_path / "started").exists)
    git = int((tmp_path / "started").read_text())
    assert is_alive(git)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    wait_until(lambda: not is_alive(git))

    (mirror_of(work) / "shallow.lock").touch()
    ssh(f"exec git-upload-pack {origin.folder}/.git")
    mirrored(SSH, work).export(commit, "app", tmp_path / "exported")
    assert (tmp_path / "exported" / "main.py").read_text() == "print(1)\n"


def test_a_commit_that_came_without_its_files_is_fetched_again(origin: Origin, work: Path, tmp_path: Path):
    """As a git that is killed while it unpacks leaves it."""
    source = mirrored(origin.address, work)
    source.pin("main", "app", None)
    commit = origin.commit({"app/main.py": "print(2)\n"})
    content = subprocess.run(
        ["git", "-C", str(origin.folder), "cat-file", "commit", commit], capture_output=True, check=True
    )
    subprocess.run(
        ["git", "-C", str(mirror_of(work)), "hash-object", "-t", "commit", "-w", "--stdin"],
        input=content.stdout,
        capture_output=True,
        check=True,
    )
    source.export(commit, "app", tmp_path / "exported")
    assert (tmp_path / "exported" / "main.py").read_text() == "print(2)\n"


def test_a_mirror_of_the_version_before_is_used(origin: Origin, work: Path, tmp_path: Path):
    """It held all branches and tags, with their history."""
    source = mirrored(origin.address, work)
    commit = source.pin("main", "app", None).commit
    folder = mirror_of(work)
    subprocess.run(["rm", "-r", str(folder)], check=True)
    subprocess.run(["git", "clone", "-q", "--mirror", origin.address, str(folder)], check=True)
    newest = origin.commit({"app/main.py": "print(2)\n"})
    assert source.pin("main", "app", None).commit == newest
    for number, wanted in enumerate((commit, newest)):
        source.export(wanted, "app", tmp_path / f"exported-{number}")
        assert (tmp_path / f"exported-{number}" / "main.py").read_text() == f"print({number + 1})\n"


def test_a_commit_says_who_made_it(origin: Origin, source: GitSource):
    origin.git("commit", "-q", "--allow-empty", "-m", "By Ana", "--author", "Ana Lima <ana@example.org>")
    assert source.pin("main", "app", None).author == "Ana Lima <ana@example.org>"
