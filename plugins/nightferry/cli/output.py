"""What the command prints: tables for people, JSON for programs, times in the service's zone."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TextIO
from zoneinfo import ZoneInfo

from nightferry.masking import mask, mask_all

if TYPE_CHECKING:
    from rich.console import Console

BOLD, GREEN, DIM, CYAN, BOLD_RED = "1", "32", "2", "36", "1;31"
"""SGR parameters of ECMA-48."""
STYLES = {
    "released": GREEN,
    "succeeded": GREEN,
    "success": GREEN,
    "unchanged": DIM,
    "skipped": DIM,
    "running": CYAN,
    "failed": BOLD_RED,
}
"""Words that carry a colour where colours are shown."""


def drawn(stream: TextIO) -> bool:
    """Whether colours are wanted there."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def redrawn(stream: TextIO) -> bool:
    """Whether progress is redrawn in place there: rich does it, where it is installed."""
    return drawn(stream) and find_spec("rich") is not None


def console(stream: TextIO | None = None) -> Console:
    """A console that draws on a terminal and writes plain lines of any length elsewhere."""
    from rich.console import Console

    out = stream if stream is not None else sys.stdout
    return Console(file=out, no_color=not drawn(out), highlight=False, width=None if out.isatty() else 100_000)


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    # Masked before it is JSON, so that it stays JSON.
    print(json.dumps(mask_all(value), indent=2, ensure_ascii=False))


class Masked:
    """A stream on which no secret is written, wherever a line comes from: records of before were not masked."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text with its secrets masked."""
        self._stream.write(mask(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write every line likewise."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


NARROW = 40
"""A last column of fewer characters stands below its row."""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], stream: TextIO | None = None) -> None:
    """Print aligned columns; elsewhere than on a terminal a row is a line, however long."""
    out = stream if stream is not None else sys.stdout
    cells = [list(headings), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    if out.isatty():
        _draw(cells, widths, out)
        return
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), file=out)


def _draw(cells: Sequence[Sequence[str]], widths: Sequence[int], out: TextIO) -> None:
    columns = shutil.get_terminal_size().columns
    indent = sum(widths[:-1]) + 2 * (len(widths) - 1)
    below = columns - indent < min(NARROW, widths[-1])
    for number, row in enumerate(cells):
        first = "".join(
            _styled(cell, number, out) + " " * (width - len(cell) + 2)
            for cell, width in zip(row[:-1], widths[:-1], strict=True)
        )
        if below:
            print(first.rstrip(), file=out)
            lines = textwrap.wrap(row[-1], max(columns - 4, 1)) if number else []
            print(*(" " * 4 + line for line in lines), sep="\n", end="\n" if lines else "", file=out)
        else:
            lines = textwrap.wrap(row[-1], max(columns - indent, 1)) or [""]
            last = f"\n{' ' * indent}".join(lines)
            print((first + _styled(last, number, out)).rstrip(), file=out)


def _styled(word: str, row: int, out: TextIO) -> str:
    """The word in its colour; the first row is that of the headings."""
    style = STYLES.get(word, "") if row else BOLD
    return f"\x1b[{style}m{word}\x1b[0m" if style and word and drawn(out) else word


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
