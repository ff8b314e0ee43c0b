"""A real supervisor with small parts: it keeps them running, and its environment and secrets are as meant."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nightferry.errors import Permanent
from nightferry.sandbox.assembly import Assembly
from nightferry.sandbox.layout import MARKER, Layout
from nightferry.sandbox.machine import leftovers, orphans
from nightferry.sandbox.machine.environment import base_environment
from nightferry.sandbox.progress import Progress
from nightferry.sandbox.status import status
from nightferry.sandbox.supervise import parts
from nightferry.sandbox.supervise.parts import Part
from nightferry.sandbox.supervise.probes import Command, Http
from nightferry.sandbox.supervise.supervision import Supervisor, configuration

TRUE = Command(("true",))
AWKWARD = "100% of it's =+/, \\;#$HOME"
"""Characters that the supervisor's own file gives a meaning."""


def part(name: str, code: str, **more: object) -> Part:
    given: dict[str, object] = {"probe": TRUE, "address": "", **more}
    return Part(name=name, command=(sys.executable, "-c", code), **given)  # type: ignore[arg-type]


def sleeper(name: str) -> Part:
    return part(name, "import time; time.sleep(300)")


@pytest.fixture
def supervisor(layout: Layout) -> Iterator[Supervisor]:
    """A supervisor that runs, with nothing to supervise yet."""
    made = Supervisor(layout)
    made.launch(base_environment(layout))
    yield made
    leftovers_of(layout)


def leftovers_of(layout: Layout) -> None:
    orphans.end(leftovers.remaining(layout), 0)


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.02)


def assembly(layout: Layout, supervisor: Supervisor) -> Assembly:
    return Assembly(layout, supervisor, Progress(io.StringIO()), threading.Event())


def test_a_killed_part_is_started_again(layout: Layout, supervisor: Supervisor) -> None:
    assembly(layout, supervisor).bring(sleeper("a"))
    first = supervisor.processes()["a"].pid
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: supervisor.processes()["a"].pid not in {0, first} and supervisor.processes()["a"].running)


def test_a_part_gets_its_command_and_environment_as_they_are(layout: Layout, supervisor: Supervisor) -> None:
    out = layout.home / "seen"
    write = f"open({str(out)!r}, 'w').write(os.environ['AWKWARD'] + chr(10) + sys.argv[1])"
    code = f"import os, sys, time; {write}; time.sleep(300)"
    odd = part("odd", code, environment={"AWKWARD": AWKWARD})
    odd = Part(odd.name, (*odd.command, "50% off; 'quoted'"), odd.probe, "", odd.environment)
    assembly(layout, supervisor).bring(odd)
    wait_for(lambda: out.exists() and "\n" in out.read_text())
    assert out.read_text().split("\n") == [AWKWARD, "50% off; 'quoted'"]


def test_the_shells_own_variables_do_not_reach_a_part(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somebody/elses")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    made = base_environment(layout)
    assert "KUBECONFIG" not in made
    assert "PYTHONPATH" not in made
    assert made["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert "10.244.0.1" in made["NO_PROXY"].split(",")
    assert made[MARKER] == str(layout.home)


def test_what_does_not_change_goes_on_running(layout: Layout, supervisor: Supervisor) -> None:
    """`up` twice."""
    first = assembly(layout, supervisor)
    first.bring(sleeper("a"))
    first.bring(sleeper("b"))
    first.complete()
    before = {name: process.pid for name, process in supervisor.processes().items()}
    again = assembly(layout, supervisor)
    again.bring(sleeper("a"))
    again.bring(sleeper("b"))
    again.complete()
    assert {name: process.pid for name, process in supervisor.processes().items()} == before


def test_a_part_with_another_command_is_replaced_and_one_that_is_gone_ends(
    layout: Layout, supervisor: Supervisor
) -> None:
    first = assembly(layout, supervisor)
    first.bring(sleeper("a"))
    first.bring(sleeper("gone"))
    first.complete()
    before = supervisor.processes()
    again = assembly(layout, supervisor)
    again.bring(part("a", "import time; time.sleep(301)"))
    again.complete()
    after = supervisor.processes()
    assert set(after) == {"a"}
    assert after["a"].pid != before["a"].pid
    assert not Path(f"/proc/{before['gone'].pid}").exists()


def test_a_part_that_ends_at_once_is_an_error_that_names_it(layout: Layout, supervisor: Supervisor) -> None:
    with pytest.raises(Permanent, match="broken"):
        assembly(layout, supervisor).bring(part("broken", "raise SystemExit('no')", probe=Http("http://127.0.0.1:9/")))
    assert "no" in layout.log("broken").read_text()


def test_a_part_that_never_works_is_given_up_at_its_deadline(layout: Layout, supervisor: Supervisor) -> None:
    never = part("never", "import time; time.sleep(300)", probe=Http("http://127.0.0.1:9/"), deadline=0.5)
    with pytest.raises(Permanent, match="nothing listens"):
        assembly(layout, supervisor).bring(never)


def test_after_the_supervisor_is_killed_its_parts_are_found_and_a_new_one_starts(
    layout: Layout, supervisor: Supervisor
) -> None:
    assembly(layout, supervisor).bring(sleeper("a"))
    orphan = supervisor.processes()["a"].pid
    os.kill(supervisor.pid(), signal.SIGKILL)
    wait_for(lambda: not supervisor.answers())
    assert orphan in leftovers.remaining(layout)
    leftovers_of(layout)
    assert leftovers.remaining(layout) == set()
    supervisor.launch(base_environment(layout))
    assembly(layout, supervisor).bring(sleeper("a"))
    assert supervisor.processes()["a"].running


def test_status_tells_who_works_and_who_does_not(layout: Layout, supervisor: Supervisor) -> None:
    made = assembly(layout, supervisor)
    made.bring(sleeper("well"))
    made.define([sleeper("stopped")])
    made.complete()
    # A process that has only just begun holds hardly any memory.
    wait_for(lambda: {row.name: row for row in status(layout).parts}["well"].memory > 1_000_000)
    found = status(layout)
    by_name = {row.name: row for row in found.parts}
    assert by_name["well"].healthy
    assert by_name["well"].pid == supervisor.processes()["well"].pid
    assert not by_name["stopped"].healthy
    assert not found.healthy
    supervisor.start("stopped")
    wait_for(lambda: status(layout).healthy)


def test_status_without_a_supervisor(layout: Layout) -> None:
    parts.keep(layout, [sleeper("a")])
    found = status(layout)
    assert not found.running
    assert not found.healthy
    assert [(row.name, row.state) for row in found.parts] == [("a", "stopped")]


def test_secrets_are_in_a_file_for_its_owner_alone(layout: Layout, supervisor: Supervisor) -> None:
    assembly(layout, supervisor).define([part("a", "pass", environment={"KEY": "very-secret"})])
    holding = [path for path in layout.home.rglob("*") if path.is_file() and "very-secret" in path.read_text()]
    assert holding
    assert {path.stat().st_mode & 0o077 for path in holding} == {0}
    assert layout.socket.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("value", ["both ' and \" of them", "cut ; off", "cut # off", "two\nlines", "'quoted'"])
def test_a_value_that_cannot_be_written_is_refused(layout: Layout, value: str) -> None:
    with pytest.raises(ValueError, match="supervised program"):
        configuration(layout, [part("a", "pass", environment={"X": value})])


def test_it_ends_with_its_parts(layout: Layout, supervisor: Supervisor) -> None:
    assembly(layout, supervisor).bring(sleeper("a"))
    wait_for(lambda: supervisor.processes()["a"].state == "RUNNING")
    supervisor.stop(["a"])
    assert supervisor.processes()["a"].state == "STOPPED"
    supervisor.shutdown()
    assert not supervisor.answers()
    assert leftovers.remaining(layout) == set()
