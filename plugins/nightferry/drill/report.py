"""What a drill came to: on the record of its service, and as a table in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.drill.drill import FAILED, NOT_TRIED, PASSED, Row
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.steps.record.ledger import append, utc

HEADINGS = (
    "Fault",
    "Traffic may see",
    "Result",
    "Requests",
    "Failed",
    "Wrong",
    "Seen after",
    "Back after",
    "Left over",
)
WORDS = 600
"""Characters of a sentence that go on the record."""


def record_drill(
    ledger: LedgerStore, clock: Clock, *, service: str, release: str, actor: str, rows: Sequence[Row]
) -> LedgerEntry:
    """Write the table on the service's record; it decides nothing. Raises as `append`."""
    passed = well(rows)
    return append(
        ledger,
        clock,
        service=service,
        kind=Kind.DRILL,
        key=f"drill:{utc(clock.now())}",
        release=None,
        actor=actor,
        reason=Reason.DRILL_PASSED if passed else Reason.DRILL_FAILED,
        sentence=summary(rows),
        data={"copied": release, "faults": [_short(row.to_json()) for row in rows]},
    )


def well(rows: Sequence[Row]) -> bool:
    """Whether every fault that was tried passed, and one was."""
    results = [row.result for row in rows]
    return FAILED not in results and PASSED in results


def summary(rows: Sequence[Row]) -> str:
    """In a sentence or two."""
    count = Counter(row.result for row in rows)
    said = f"{count[PASSED]} of {count[PASSED] + count[FAILED]} faults passed"
    said += f", {count[NOT_TRIED]} were not tried." if count[NOT_TRIED] else "."
    failed = [f"{row.fault}: {row.why}" for row in rows if row.result == FAILED]
    return " ".join([said, *failed])[: 4 * WORDS]


def markdown(rows: Sequence[Row]) -> str:
    """The table, and below it why a fault failed or was not tried."""
    lines = [_line(HEADINGS), _line(["---"] * len(HEADINGS)), *(_line(cells(row)) for row in rows)]
    why = [f"* {row.fault}, {row.result}: {_plain(row.why)}" for row in rows if row.why]
    return "\n".join([*lines, *([""] if why else []), *why]) + "\n"


def cells(row: Row) -> tuple[str, ...]:
    """A row of the table, for people."""
    if row.result == NOT_TRIED:
        return row.fault, row.allowed, row.result, *[""] * (len(HEADINGS) - 3)
    asked, failed, wrong = (
        f"{ours} + {theirs}"
        for ours, theirs in (
            (row.asked, row.production_asked),
            (row.failed, row.production_failed),
            (row.wrong, row.production_wrong),
        )
    )
    left = ", ".join([*row.orphans, *row.duplicates]) or "nothing"
    return (
        row.fault,
        row.allowed,
        row.result,
        asked,
        failed,
        wrong,
        _s(row.seconds_to_see),
        _s(row.seconds_to_be_back),
        left,
    )


def _s(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def _line(words: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(word) for word in words) + " |"


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:WORDS]
    if isinstance(value, list):
        return [_short(one) for one in value]
    return {name: _short(one) for name, one in value.items()} if isinstance(value, dict) else value
