"""What the command prints: tables for people, JSON for programs, times in the service's zone."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {
    "released": "green",
    "succeeded": "green",
    "success": "green",
    "unchanged": "dim",
    "skipped": "dim",
    "not_needed": "dim",
    "running": "cyan",
    "failed": "bold red",
}
"""Words that carry a colour where colours are shown."""


def drawn(stream: TextIO) -> bool:
    """Whether colours and redrawing are wanted there."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def console(stream: TextIO | None = None) -> Console:
    """A console that draws on a terminal and writes plain lines of any length elsewhere."""
    from rich.console import Console

    out = stream if stream is not None else sys.stdout
    return Console(file=out, no_color=not drawn(out), highlight=False, width=None if out.isatty() else 100_000)


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], stream: TextIO | None = None) -> None:
    """Print aligned columns. A terminal gets the last one wrapped below itself; elsewhere a row is a line."""
    out = stream if stream is not None else sys.stdout
    cells = [[str(cell) for cell in row] for row in rows]
    if out.isatty():
        from rich.table import Table
        from rich.text import Text

        grid = Table(box=None, pad_edge=False, header_style="bold")
        for number, heading in enumerate(headings):
            grid.add_column(heading, no_wrap=number < len(headings) - 1, overflow="fold")
        for row in cells:
            grid.add_row(*(Text(cell, style=style(cell)) for cell in row))
        console(out).print(grid)
        return
    widths = [max(len(row[column]) for row in [list(headings), *cells]) for column in range(len(headings))]
    for row in [list(headings), *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), file=out)


def style(word: str) -> str:
    """The colour of a word, "" for none."""
    return STYLES.get(word, "")


def local_time(utc: str, zone: ZoneInfo) -> str:
    """A record's UTC time as a clock in the service's zone shows it: `2026-11-21 15:04:05 CET`."""
    if not utc:
        return ""
    return dt.datetime.fromisoformat(utc).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def seconds(value: float | None) -> str:
    """A duration for people: `0.4 s`, `12 s`, `2 min 5 s`; nothing for none."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{int(value) // 60} min {int(value) % 60} s"


def size(count: float) -> str:
    """Bytes for people: `512 B`, `1.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("the last unit takes all")
