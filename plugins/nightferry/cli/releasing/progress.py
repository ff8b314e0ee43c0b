"""Shows a release while it runs: redrawn in place on a terminal, one line for each event elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from nightferry.cli.output import console, redrawn, seconds
from nightferry.cli.releasing.follow import Follower, StepProgress
from nightferry.clients.clock import Clock

if TYPE_CHECKING:
    from rich.spinner import Spinner
    from rich.table import Table

POLL_SECONDS = 0.5
SIGNS = {
    "succeeded": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "running": ("▸", "cyan"),
    "retrying": ("↻", "yellow"),
    "queued": ("·", ""),
    "waiting": ("·", "dim"),
    "skipped": ("-", "dim"),
    "not_run": ("-", "dim"),
}
ENDED = ("succeeded", "failed")


def show_progress(follower: Follower, clock: Clock, stream: TextIO | None = None) -> None:
    """Follow to the end, showing progress on `stream` (stderr). Raises as `Follower.look`."""
    out = stream if stream is not None else sys.stderr
    if not redrawn(out):
        _follow(follower, clock, Lines(out).update)
        return
    from rich.live import Live
    from rich.spinner import Spinner

    spinner = Spinner("dots", style="cyan")
    with Live(steps_table(follower, spinner), console=console(out), refresh_per_second=8) as live:
        _follow(follower, clock, lambda now: live.update(steps_table(now, spinner)))


def _follow(follower: Follower, clock: Clock, update: Callable[[Follower], None]) -> None:
    while True:
        ended = follower.look()
        update(follower)
        if ended:
            return
        clock.sleep(POLL_SECONDS)


class Lines:
    """One line when a step ends, when a share of the users moves, and when something unusual begins."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._said: set[tuple[str, str]] = set()
        self._trouble = ""

    def update(self, follower: Follower) -> None:
        """Say what is new."""
        if follower.trouble and follower.trouble != self._trouble:
            print(f"↻ {follower.trouble} Waiting for it.", file=self._out, flush=True)
        self._trouble = follower.trouble
        for step in follower.steps:
            told = step.state == "retrying" or (step.state == "running" and step.goes_on)
            event = (step.step, step.found if told else step.state)
            if (told or step.state in ENDED) and event not in self._said:
                self._said.add(event)
                print(line(step), file=self._out, flush=True)


def line(step: StepProgress) -> str:
    """A step as one line: `✓ build_image          12 s    Built …`."""
    said = f"failed, is tried again: {step.found}" if step.state == "retrying" else step.found
    return f"{SIGNS[step.state][0]} {step.step:<20} {seconds(step.seconds):>12}   {said}".rstrip()


def steps_table(follower: Follower, spinner: Spinner) -> Table:
    """All steps, for a terminal."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for _ in range(2):
        grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(overflow="fold")
    for step in follower.steps:
        sign, style = SIGNS[step.state]
        first = spinner if step.state == "running" else Text(sign, style=style)
        said = step.found or (step.state if step.state in ("retrying", "queued") else "")
        grid.add_row(first, Text(step.step, style=style), seconds(step.seconds), Text(said))
    if follower.trouble:
        grid.add_row(Text("↻", style="yellow"), Text("waiting"), "", Text(follower.trouble))
    return grid
