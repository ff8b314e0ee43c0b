"""Pin and export the newest commit of a repository of 50,000 commits: the full fetch of before, and today's way.

    python benchmarks/git.py [--commits 50000] [--rounds 3]

The repository is made with `git fast-import` in a temporary folder and served by `git daemon` on this machine, through
a relay that counts the bytes. Each way, in turns, starts with an empty mirror (`first`), then takes the night after one
more commit (`next`), then one without any (`quiet`). Both write the app's folder with the same code. Seconds hold the
server's work too; they are the median over the rounds.
"""

from __future__ import annotations

import argparse
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry.clients.git.command import Git
from nightferry.clients.git.export import made_anew, write_tree
from nightferry.clients.git.source import GitSource

FILES, LINES, BRANCHES, TAGS_EVERY = 400, 60, 50, 100
EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", "+HEAD:refs/nightferry/HEAD")
NIGHTS = ("first", "next", "quiet")
HOUR = 3600.0


def main() -> int:
    """Measure and print; 0 when today's way takes fewer bytes and seconds on the first night."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--commits", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightferry-git-") as scratch:
        folder = Path(scratch)
        made = time.monotonic()
        origin = make_repository(folder / "origin.git", given.commits)
        print(f"{given.commits:,} commits made in {time.monotonic() - made:.1f} s, {_size(origin):,.1f} MB packed")
        with _served(folder) as (address, counted):
            seconds, sizes = _measure(folder, origin, f"{address}/origin.git", counted, given.rounds)
    for night in NIGHTS:
        before, now = (statistics.median(seconds[way, night]) for way in ("before", "now"))
        many, few = (statistics.median(sizes[way, night]) for way in ("before", "now"))
        print(
            f"{night:<6} before {before:7.2f} s {many / 1e6:9.3f} MB   now {now:7.2f} s {few / 1e6:9.3f} MB   "
            f"ratio {now / before:.3f} in seconds, {few / many:.3f} in bytes"
        )
    first = [("before", "first"), ("now", "first")]
    better = all(statistics.median(kind[first[1]]) < statistics.median(kind[first[0]]) for kind in (seconds, sizes))
    return 0 if better else 1


def make_repository(folder: Path, commits: int) -> Path:
    """A repository of so many commits on `main`, each of which changes one file, with branches and tags on the way."""
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(folder)], check=True)
    importer = subprocess.Popen(["git", "-C", str(folder), "fast-import", "--quiet"], stdin=subprocess.PIPE)
    with importer:
        if importer.stdin is None:
            raise RuntimeError("git was started without a pipe")
        for piece in _stream(commits):
            importer.stdin.write(piece)
    if importer.returncode:
        raise RuntimeError("git fast-import failed")
    subprocess.run(["git", "-C", str(folder), "gc", "--quiet"], check=True)
    return folder


def _stream(commits: int) -> Iterator[bytes]:
    chance = random.Random(1)
    files = [[f"line_{line} = {chance.random()}" for line in range(LINES)] for _ in range(FILES)]
    for number in range(commits):
        changed = range(FILES) if number == 0 else [chance.randrange(FILES)]
        for file in changed:
            files[file][chance.randrange(LINES)] = f"changed = {chance.random()}"
        yield _commit(number, {f"app/part_{file % 20}/module_{file}.py": files[file] for file in changed})
        for wanted, every in (("refs/tags/v", TAGS_EVERY), ("refs/heads/work-", max(1, commits // BRANCHES))):
            if number % every == 0:
                yield f"reset {wanted}{number}\nfrom refs/heads/main\n\n".encode()


def _commit(number: int, files: dict[str, list[str]], parent: str = "") -> bytes:
    message = f"change {number}"
    head = f"commit refs/heads/main\ncommitter ana <ana@example.org> {1_600_000_000 + number} +0000\n"
    text = [f"{head}data {len(message)}\n{message}\n{parent}"]
    for name, lines in files.items():
        content = "\n".join(lines)
        text.append(f"M 100644 inline {name}\ndata {len(content)}\n{content}\n")
    return "".join(text).encode()


def _measure(
    folder: Path, origin: Path, address: str, counted: Callable[[], int], rounds: int
) -> tuple[dict[tuple[str, str], list[float]], dict[tuple[str, str], list[float]]]:
    ways = {"before": _before, "now": _now}
    seconds: dict[tuple[str, str], list[float]] = {(way, night): [] for way in ways for night in NIGHTS}
    sizes: dict[tuple[str, str], list[float]] = {(way, night): [] for way in ways for night in NIGHTS}
    for number in range(rounds):
        for night in NIGHTS:
            if night == "next":
                _commit_more(origin, number)
            newest = Git(origin).run("rev-parse", "main")
            for way, fetch in ways.items():
                work, bytes_before, start = folder / f"{way}-{number}", counted(), time.monotonic()
                if fetch(address, work) != newest:
                    raise RuntimeError(f"{way} did not find the newest commit")
                seconds[way, night].append(time.monotonic() - start)
                sizes[way, night].append(counted() - bytes_before)
        for way in ways:
            shutil.rmtree(folder / f"{way}-{number}")
    return seconds, sizes


def _commit_more(origin: Path, number: int) -> None:
    git = ["git", "-C", str(origin)]
    changed = [f"again_{number}_{line} = {line}" for line in range(LINES)]
    stream = _commit(10**6 + number, {"app/part_0/module_0.py": changed}, "from refs/heads/main^0\n")
    subprocess.run([*git, "fast-import", "--quiet"], input=stream, check=True)


def _before(address: str, work: Path) -> str:
    """The commands of the version before, one for one."""
    mirror = work / "mirror.git"
    mirror.mkdir(parents=True, exist_ok=True)
    git = Git(mirror, HOUR)
    git.run("init", "--bare", "--quiet")
    git.run("fetch", "--quiet", "--prune", "--force", "--", address, *EVERYTHING)
    commit = git.run("rev-parse", "--verify", "--quiet", "refs/heads/main^{commit}")
    _tree_before(git, commit)
    git.run("cat-file", "-e", f"{commit}^{{commit}}")
    tree = _tree_before(git, commit)
    with made_anew(work / "app") as folder:
        write_tree(git, tree, folder, folder)
    return commit


def _tree_before(git: Git, commit: str) -> str:
    tree = git.run("rev-parse", "--verify", "--quiet", f"{commit}:app")
    git.run("cat-file", "-t", tree)
    return tree


def _now(address: str, work: Path) -> str:
    source = GitSource(address, work, work, HOUR)
    commit = source.pin("main", "app", None).commit
    source.export(commit, "app", work / "app")
    return commit


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """The address of a server of the folder's repositories, and how many bytes went through it until now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["git", "daemon", "--export-all", f"--base-path={folder}", "--listen=127.0.0.1", f"--port={port}"]
    daemon = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    counts: list[int] = []
    try:
        _wait_for(port)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            threading.Thread(target=_relay, args=(listening, port, counts), daemon=True).start()
            yield f"git://127.0.0.1:{listening.getsockname()[1]}", lambda: sum(counts)
    finally:
        daemon.terminate()
        daemon.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _relay(listening: socket.socket, port: int, counts: list[int]) -> None:
    while True:
        try:
            client = listening.accept()[0]
        except OSError:  # closed: the measurement is over
            return
        server = socket.create_connection(("127.0.0.1", port))
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=_pass_on, args=(source, target, counts), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, counts: list[int]) -> None:
    try:
        while piece := source.recv(1 << 16):
            counts.append(len(piece))
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def _size(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    sys.exit(main())
