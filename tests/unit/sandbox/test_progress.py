"""What a person reads while the sandbox works, and what happens to a program when its starter dies."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from nightferry.sandbox.progress import Progress, StepFailed, run_logged

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_step_says_how_long_it_will_take_and_took() -> None:
    out, now = io.StringIO(), [0.0]
    progress = Progress(out, clock=lambda: now[0])
    with progress.step("compile", expected=540):
        now[0] += 500
    assert out.getvalue().splitlines() == ["… compile (about 9 min)", "✓ compile (500 s)"]


def test_a_failed_step_names_its_log_and_shows_its_last_15_lines(tmp_path: Path) -> None:
    out, log = io.StringIO(), tmp_path / "build.log"
    progress = Progress(out)
    with (
        pytest.raises(StepFailed, match=r"sh ended with code 3: its output is in .*build\.log\."),
        progress.step("build", log=log),
    ):
        run_logged(["sh", "-c", "seq 1 40; exit 3"], log)
    shown = out.getvalue().splitlines()
    assert [line.removeprefix("  | ") for line in shown if line.startswith("  |")] == [str(n) for n in range(26, 41)]
    assert str(log) in shown[2]


def test_steps_of_several_threads_end_independently() -> None:
    out = io.StringIO()
    progress = Progress(out)
    inner = threading.Event()

    def other() -> None:
        with progress.step("two"):
            inner.wait(10)

    thread = threading.Thread(target=other)
    with progress.step("one"):
        thread.start()
    inner.set()
    thread.join()
    assert sorted(line[2:5] for line in out.getvalue().splitlines() if line.startswith("✓")) == ["one", "two"]


@pytest.mark.parametrize(("no_color", "drawn"), [("", True), ("1", False)])
def test_a_terminal_is_redrawn_unless_no_colour_is_wanted(
    monkeypatch: pytest.MonkeyPatch, no_color: str, drawn: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with Progress(out).step("compile"):
        pass
    assert ("\x1b[" in out.getvalue()) is drawn
    assert "✓ compile" in out.getvalue()


def test_logs_are_for_the_owner_alone_and_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "part.log"
    for word in ("one", "two"):
        run_logged(["echo", word], log)
    assert log.read_text() == "one\ntwo\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="did not end within"):
        run_logged(["sleep", "60"], tmp_path / "log", timeout=0.2)


def test_a_missing_program_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="no-such-program"):
        run_logged(["no-such-program"], tmp_path / "log")


def test_a_program_ends_with_its_starter_even_after_kill_9(tmp_path: Path) -> None:
    script = "import sys;from pathlib import Path;from nightferry.sandbox.progress import run_logged;"
    script += "run_logged(['sh','-c','echo $$; exec sleep 60'],Path(sys.argv[1]))"
    log = tmp_path / "log"
    starter = subprocess.Popen([sys.executable, "-c", script, str(log)], env={**os.environ, "PYTHONPATH": str(PLUGINS)})
    deadline = time.monotonic() + 20
    while not (log.exists() and log.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.02)
    child = Path("/proc", log.read_text().strip())
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    while _running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _running(child)


def _running(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
