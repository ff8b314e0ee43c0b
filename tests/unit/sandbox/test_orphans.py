"""Processes without a supervisor are found, whatever they call themselves, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from nightferry.sandbox.layout import MARKER
from nightferry.sandbox.machine import orphans

HOME = Path(f"/nowhere/sandbox-of-a-test-{os.getpid()}")
"""Another for each process that runs tests: they find each other's processes, since they look at the whole machine."""
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('ready', flush=True); time.sleep(60)",
]
LEADER = f"""
import subprocess, sys, time
child = subprocess.Popen({SLEEP!r}, env={{}})
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts processes; those left are ended afterwards."""
    started: list[subprocess.Popen[str]] = []

    def begin(words: list[str], **more: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **more)  # type: ignore[call-overload]
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.01)


def test_found_by_the_mark(start: Callable[..., subprocess.Popen[str]]) -> None:
    ours = start(SLEEP, env={MARKER: str(HOME)})
    start(SLEEP, env={MARKER: f"{HOME}-another"})
    wait_for(lambda: orphans.find(HOME) == {ours.pid})


def test_found_by_the_session_where_the_mark_is_gone(start: Callable[..., subprocess.Popen[str]]) -> None:
    """As with Airflow's workers, which write their title over their environment, after their parents are killed."""
    leader = start([sys.executable, "-c", LEADER], env={MARKER: str(HOME)}, start_new_session=True)
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    try:
        assert orphans.find(HOME, leader.pid) == {leader.pid, child}
        leader.kill()
        leader.wait()
        assert orphans.find(HOME) == set()
        assert orphans.find(HOME, leader.pid) == {child}
    finally:
        orphans.end({child}, 0)


def test_a_session_of_another_program_with_the_same_number_is_left_alone(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    other = start(SLEEP, start_new_session=True, env={})
    assert orphans.find(HOME, other.pid) == set()


def test_this_process_and_its_parents_are_not_found() -> None:
    code = (
        "import os, sys; from pathlib import Path; from nightferry.sandbox.machine import orphans; "
        f"sys.exit(len(orphans.find(Path({str(HOME)!r}))))"
    )
    environment = {**os.environ, MARKER: str(HOME), "PYTHONPATH": str(Path(orphans.__file__).parents[3])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_one_that_will_not_end_is_ended(start: Callable[..., subprocess.Popen[str]]) -> None:
    stubborn = start(STUBBORN)
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    orphans.end({stubborn.pid}, patience=0.2)
    assert stubborn.wait(5) == -signal.SIGKILL


def test_one_that_ends_by_itself_is_given_the_time(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start(SLEEP)
    orphans.end({process.pid}, patience=10)
    assert process.wait(5) == -signal.SIGTERM


def test_a_restart_ends_what_a_killed_leader_left(start: Callable[..., subprocess.Popen[str]]) -> None:
    """In a session as the supervisor makes it: a group whose leader is gone is ended, others go on."""
    script = f"""
import os, subprocess, sys, time
part = subprocess.Popen([sys.executable, "-c", {LEADER!r}], process_group=0, stdout=subprocess.PIPE, text=True)
left = int(part.stdout.readline())
other = subprocess.Popen({SLEEP!r}, process_group=0)
part.kill()
part.wait()
again = subprocess.Popen([sys.executable, "-m", "nightferry.sandbox.supervise.restart",
                          sys.executable, "-c", "print('again')"],
                         process_group=0, stdout=subprocess.PIPE, text=True)
print(again.communicate()[0].strip(), left, other.pid, other.poll(), flush=True)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(orphans.__file__).parents[3])}
    session = start([sys.executable, "-c", script], start_new_session=True, env=environment)
    assert session.stdout is not None
    said, left, other, other_ended = session.stdout.readline().split()
    with suppress(ProcessLookupError):
        assert orphans.alive(int(other))
        os.kill(int(other), signal.SIGKILL)
    assert (said, other_ended) == ("again", "None")
    assert not orphans.alive(int(left))
