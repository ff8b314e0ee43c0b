"""Progress of the sandbox's slow steps: what runs, for how long already, about how long still.

On a terminal the running steps are redrawn in place; elsewhere (a pipe, CI, NO_COLOR) every event is one plain line.
Steps may run in several threads at once. A step that fails names its log and shows the end of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

TAIL_LINES = 15
REPEAT_SECONDS = 30.0
"""How often a running step is mentioned again where lines cannot be redrawn."""


class StepFailed(Permanent):
    """A program that the sandbox ran ended with an error."""


class StepGivenUp(Exception):
    """A step ended early because another one failed: nothing is wrong with it."""


@dataclass
class _Step:
    title: str
    started: float
    expected: float | None
    mentioned: float = field(default=0.0)

    def times(self, now: float) -> str:
        elapsed = now - self.started
        if self.expected is None:
            return f"{elapsed:.0f} s"
        left = self.expected - elapsed
        return f"{elapsed:.0f} s, " + (f"about {duration(left)} left" if left > 0 else "longer than usual")


def duration(seconds: float) -> str:
    """Seconds as a person says them: `40 s`, `8 min`."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def tail(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of a log; none where it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 20_000))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []


class Progress:
    """Shows steps while they run. One for a whole command; safe to use from several threads."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._clock = clock
        self._lock = threading.RLock()
        self._running: list[_Step] = []
        self._live: Live | None = None
        self._wake = threading.Event()
        self._drawn = self._stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    @contextmanager
    def step(self, title: str, *, log: Path | None = None, expected: float | None = None) -> Iterator[None]:
        """Show `title` as running until the block ends; `expected` is its usual length in seconds."""
        step = _Step(title, self._clock(), expected, mentioned=self._clock())
        self._begin(step)
        try:
            yield
        except StepGivenUp:
            self._end(step, f"- {title}: given up")
            raise
        except BaseException:
            self._end(step, f"✗ {title}: failed after {self._clock() - step.started:.0f} s")
            if log is not None:
                self.say(f"  its log, {log}, ends:")
                for line in tail(log):
                    self.say(f"  | {line}")
            raise
        self._end(step, f"✓ {title} ({self._clock() - step.started:.0f} s)")

    def say(self, text: str) -> None:
        """One line that stays."""
        with self._lock:
            if self._live is not None:
                self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, file=self._stream, flush=True)

    def _begin(self, step: _Step) -> None:
        with self._lock:
            self._running.append(step)
            if not self._drawn:
                usual = f" (about {duration(step.expected)})" if step.expected else ""
                self.say(f"… {step.title}{usual}")
                if len(self._running) == 1:
                    self._wake = threading.Event()
                    threading.Thread(target=self._mention, args=(self._wake,), daemon=True).start()
            elif self._live is None:
                from rich.console import Console
                from rich.live import Live

                console = Console(file=self._stream)
                self._live = Live(get_renderable=self._table, console=console, transient=True, refresh_per_second=4)
                self._live.start()

    def _end(self, step: _Step, line: str) -> None:
        with self._lock:
            self._running.remove(step)
            self.say(line)
            if not self._running:
                self._wake.set()
                live, self._live = self._live, None
                if live is not None:
                    live.stop()

    def _table(self) -> Table:
        from rich.spinner import Spinner
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        now = self._clock()
        for step in list(self._running):
            spinner = Spinner("dots", style="cyan")
            spinner.start_time = 0.0
            table.add_row(spinner, step.title, step.times(now))
        return table

    def _mention(self, wake: threading.Event) -> None:
        while not wake.wait(1.0):
            with self._lock:
                now = self._clock()
                for step in self._running:
                    if now - step.mentioned >= REPEAT_SECONDS:
                        step.mentioned = now
                        self.say(f"… {step.title}: {step.times(now)}")


def run_logged(
    command: Sequence[str | Path],
    log: Path,
    env: Mapping[str, str] | None = None,
    *,
    cwd: Path | None = None,
    timeout: float | None = None,
    name: str | None = None,
) -> None:
    """Run a program, its output appended to `log`; it ends with this process, even after kill -9.

    Args:
        env: the whole environment of the program; this process's where None.
        timeout: seconds until it is ended.
        name: what errors call it; the file name of the program where None.

    Raises:
        StepFailed: it is missing, ran too long, or ended with an error.
    """
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = name or Path(command[0]).name
    whole = ["setpriv", "--pdeathsig", "TERM", "--", *map(str, command)]
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        try:
            done = subprocess.run(
                whole,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as cause:
            sentence = f"{name} did not end within {duration(cause.timeout)}: its output is in {log}."
            raise StepFailed(Reason.SANDBOX_FAILED, sentence) from cause
        except OSError as cause:
            raise StepFailed(Reason.SANDBOX_FAILED, f"{name} could not be started: {cause}.") from cause
    if done.returncode != 0:
        sentence = f"{name} ended with code {done.returncode}: its output is in {log}."
        raise StepFailed(Reason.SANDBOX_FAILED, sentence)
