"""What is told of a preview, to people and to programs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zoneinfo import ZoneInfo

from nightferry.cli.output import local_time
from nightferry.cli.releasing.diff_view import diff_lines, diffs_of
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.preview import ENDED, UP, PreviewId
from nightferry.entities.reason import Reason
from nightferry.manifests.trial import NAMESPACE
from nightferry.steps.record.preview_record import pinned_of

INSIDE = ".svc"
MADE, RUNS, OVER, FAILED = "made", "up", "over", "failed"


@dataclass(frozen=True)
class PreviewView:
    """One preview by the record."""

    preview: str
    service: str
    state: str
    """`made` (it is built and tested), `up`, `over` or `failed`: it never came up."""
    by: str
    since: str
    """UTC, RFC 3339."""
    model: str
    commit: str
    hours: int
    until: str | None
    address: str | None
    comparison: str | None
    """In a sentence, also where there is none."""
    diff: PredictionDiff | None
    end: str | None
    """Why it is over."""
    reason: str
    """The newest entry's reason code."""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self) | {"diff": self.diff.to_json() if self.diff else None}


def view_of(entries: Sequence[LedgerEntry], now: dt.datetime) -> PreviewView:
    """The preview that these are all entries of, the one that pinned it first."""
    pinned = pinned_of(list(entries))
    by_key = {entry.key: entry for entry in entries}
    up, ended = (by_key.get(f"{pinned.preview}/{step}") for step in (UP, ENDED))
    until = str(up.data["until"]) if up else None
    late = until is not None and dt.datetime.fromisoformat(until) <= now
    state = (RUNS if up else MADE) if not ended and not late else OVER if up or _by_hand(ended) else FAILED
    return PreviewView(
        preview=pinned.preview,
        service=pinned.service,
        state=state,
        by=pinned.actor,
        since=entries[0].time,
        model=pinned.candidate.model.version,
        commit=pinned.candidate.source.commit,
        hours=pinned.hours,
        until=until,
        address=str(up.data["address"]) if up else None,
        comparison=str(up.data["comparison"]) if up else None,
        diff=next(iter(diffs_of([up]).values()), None) if up else None,
        end=ended.sentence if ended else ("Its time is over." if late else None),
        reason=entries[-1].reason,
    )


def _by_hand(ended: LedgerEntry | None) -> bool:
    return ended is not None and ended.reason == Reason.PREVIEW_ENDED


def print_view(view: PreviewView, zone: ZoneInfo) -> None:
    """Print all of it."""
    print(f"{view.preview}  {view.state}")
    print(f"model    {view.model}")
    print(f"source   {view.commit}")
    print(f"by       {view.by}, {local_time(view.since, zone)}, for {view.hours} h")
    if view.until and view.state == RUNS:
        print(f"until    {local_time(view.until, zone)}")
        print(f"address  {view.address}")
        if str(view.address).endswith(INSIDE):
            print(f"         from here: {forward(view.preview)}, then http://127.0.0.1:8080")
    if view.end:
        print(f"end      {view.end}")
    if view.diff:
        for line in diff_lines({"preview": view.diff}):
            print(line)
    elif view.comparison:
        print(view.comparison)


def forward(preview: str) -> str:
    """How somebody outside the cluster comes to it."""
    return f"kubectl -n {NAMESPACE} port-forward service/{preview} 8080:80"


def service_of(preview: str) -> str:
    """Whose preview it is, by its name; empty for what is no such name."""
    try:
        return PreviewId.parse(preview).service
    except ValueError:
        return ""
