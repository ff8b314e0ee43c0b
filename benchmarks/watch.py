"""The watch alone: a thousand services over ten repositories, quiet minutes and one commit, in processor time.

    python benchmarks/watch.py [--services 1000] [--repositories 10] [--looks 5] [--per-service]

The repositories are real ones, served by `git daemon` on this machine; the record, its notes and Airflow are in memory,
so what is measured is the looks: git's processes and ours. The figures are processor time of this process and its
children, and seconds on the clock. `--per-service` looks once for each service, the way that is compared with.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nightferry.clients.clock import SystemClock
from nightferry.clients.git.watched import WatchedGit
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.watching.look_around import look_around
from nightferry.steps.watching.repositories import Repository, repositories

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.fakes.worlds.watching_world import WatchingWorld


def main() -> int:
    """Measure and print; 0 when a quiet minute makes one call a repository and one commit starts one run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--repositories", type=int, default=10)
    parser.add_argument("--looks", type=int, default=5)
    parser.add_argument("--per-service", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightferry-watch-") as scratch, _served(Path(scratch)) as address:
        return _measure(Path(scratch), address, given)


def _measure(folder: Path, address: str, given: argparse.Namespace) -> int:
    each = given.services // given.repositories
    for number in range(given.repositories):
        _make(folder / f"r{number}", each)
    services = [
        WatchingWorld.service(f"s{number}", f"s{number % each}", f"{address}/r{number // each}", commit="release")
        for number in range(given.services)
    ]
    world = WatchingWorld(folder / "world")
    asked: list[str] = []

    class Counted(WatchedGit):
        def heads(self, refs: Sequence[str]) -> dict[str, str]:
            asked.append("")
            return dict(super().heads(refs))

    def source(one: str) -> WatchedGit:
        return Counted(one, folder / "work", folder, SystemClock())

    doors = dataclasses.replace(world.doors, source=source, clock=SystemClock())
    wanted = _apart(services) if given.per_service else repositories(services)

    def look(what: str) -> tuple[int, int]:
        asked.clear()
        began, before = time.monotonic(), _processor()
        looked = look_around(wanted, doors)
        faults = [fault.sentence for one in looked for fault in one.faults]
        if faults:
            raise SystemExit(faults[0])
        started = sum(len(one.started) for one in looked)
        seconds, used = time.monotonic() - began, _processor() - before
        print(f"{what:<22} {len(asked):5d} calls  {seconds:7.2f} s  {used:7.2f} s of processor time  {started:5d} runs")
        return len(asked), started

    look("first look of all")
    world.runs.waiting.clear()
    _settle(world, wanted, doors)
    quiet = [look("a quiet minute")[0] for _ in range(given.looks)]
    _commit(folder / "r0", "s0")
    _, started = look("a commit to one")
    return 0 if (given.per_service or set(quiet) == {given.repositories}) and started == 1 else 1


def _settle(world: WatchingWorld, wanted: list[Repository], doors: object) -> None:
    """As when every run has decided: nothing is left open."""
    from nightferry.entities.watching.cursor import Cursor
    from nightferry.steps.watching.keep_cursor import keep_cursor, read_cursor

    for one in wanted:
        kept = read_cursor(world.cursors, one.note)
        keep_cursor(world.cursors, one.note, kept, Cursor(**{**kept.cursor.to_json(), "open": {}}))


def _apart(services: list[ServiceSpec]) -> list[Repository]:
    found = []
    for service in services:
        (one,) = repositories([service])
        found.append(dataclasses.replace(one, identity=f"{one.identity}#{service.service}"))
    return found


def _make(folder: Path, services: int) -> None:
    _git(folder.parent, "init", "-q", "-b", "main", str(folder))
    for number in range(services):
        (folder / f"s{number}").mkdir()
        (folder / f"s{number}" / "app.py").write_text(str(number), encoding="utf-8")
    (folder / ".git" / "git-daemon-export-ok").touch()
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "one")


def _commit(folder: Path, service: str) -> None:
    (folder / service / "app.py").write_text("two", encoding="utf-8")
    _git(folder, "commit", "-q", "-a", "-m", "two")


def _git(folder: Path, *words: str) -> None:
    names = ["-c", "user.name=ana", "-c", "user.email=ana@example.org"]
    subprocess.run(["git", *names, "-C", str(folder), *words], check=True)


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--reuseaddr", "--listen=127.0.0.1", f"--port={port}", f"--base-path={folder}", "--max-connections=0"]
    daemon = subprocess.Popen(["git", "daemon", *options, str(folder)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield f"git://127.0.0.1:{port}"
    finally:
        daemon.terminate()
        daemon.wait()


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    sys.exit(main())
