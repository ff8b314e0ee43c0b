"""One release as people read it: what was decided, what each step found, how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from nightferry.cli.output import local_time, seconds, table
from nightferry.cli.releasing.diff_view import diff_lines, diffs_of
from nightferry.cli.trial.rehearsals import rehearsal_json, rehearsal_line
from nightferry.clients.clock import SystemClock
from nightferry.entities.barring.blame import Blame, Trial
from nightferry.entities.candidate import Candidate
from nightferry.entities.decision import Decision
from nightferry.entities.fact_key import step_of
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.state.drift import OpenDrift
from nightferry.entities.state.rehearsal import Rehearsal
from nightferry.entities.state.traffic import Traffic
from nightferry.entities.state.waiting import waits


@dataclass(frozen=True)
class StepView:
    """A step of a release, as the record has it."""

    step: str
    reason: str
    sentence: str
    seconds: float | None
    time: str


@dataclass(frozen=True)
class ReleaseView:
    """A release, put together from its entries."""

    decision: Decision
    decided: str
    """When (UTC)."""
    steps: tuple[StepView, ...]
    """In the order in which they ended; a step that was tried again stands here once for each try."""
    closing: LedgerEntry | None
    entries: tuple[LedgerEntry, ...]
    traffic: Mapping[str, Traffic]
    """Which release each environment's users get now, whatever the release of this view is."""
    drifts: Mapping[str, Sequence[OpenDrift]] = field(default_factory=dict)
    """By environment, how what runs differs from the record, as far as that was found."""
    rehearsal: Rehearsal | None = None
    """The service's newest."""

    @property
    def service(self) -> str:
        """The service's name."""
        return self.decision.service

    @property
    def waits(self) -> str | None:
        """What it waits for, where it does: `published`, `awaits_approval` …"""
        told = [entry.reason for entry in self.entries if entry.kind == Kind.WAITING]
        return told[-1] if told and waits(self.entries) else None

    @property
    def outcome(self) -> str | None:
        """How it ended; None: not yet."""
        return self.closing.reason if self.closing else None

    @property
    def image(self) -> str | None:
        """The image by digest, once there is one."""
        named = [entry.data["image"] for entry in self.entries if entry.data.get("image")]
        return named[-1] if named else None

    @property
    def diffs(self) -> dict[str, PredictionDiff]:
        """By environment how its answers differ from those of the release in use before, where that was looked at."""
        return diffs_of(self.entries)

    @property
    def blame(self) -> Blame | None:
        """What was found out about its failed gate; None: none failed, or nothing was found yet."""
        told = [entry for entry in self.entries if entry.kind == Kind.BLAME]
        return Blame.model_validate(told[-1].data) if told else None

    @property
    def total_seconds(self) -> float | None:
        """From the decision to the end."""
        return self.closing.data.get("total_seconds") if self.closing else None

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "release": self.decision.release,
            "service": self.service,
            "outcome": self.outcome,
            "sentence": self.closing.sentence if self.closing else None,
            "waits": self.waits,
            "decided": self.decided,
            "ended": self.closing.time if self.closing else None,
            "seconds": self.total_seconds,
            "decision": self.decision.to_json(),
            "image": self.image,
            "traffic": {name: one.to_json() for name, one in self.traffic.items()},
            "prediction_diffs": {name: diff.to_json() for name, diff in self.diffs.items()},
            "blame": self.blame.to_json() if self.blame else None,
            "drift": {name: [one.to_json() for one in found] for name, found in self.drifts.items()},
            "rehearsal": rehearsal_json(self.rehearsal),
            "steps": [vars(step) for step in self.steps],
            "entries": [entry.to_json() for entry in self.entries],
        }


def view_of(
    entries: Sequence[LedgerEntry],
    traffic: Mapping[str, Traffic],
    drifts: Mapping[str, Sequence[OpenDrift]] | None = None,
    rehearsal: Rehearsal | None = None,
) -> ReleaseView:
    """Put a release together from its entries, oldest first, its decision among them, and the service's traffic, drift
    and newest rehearsal."""
    decision = next(entry for entry in entries if entry.kind == Kind.DECISION)
    closings = [entry for entry in entries if entry.kind == Kind.RELEASE]
    steps = [entry for entry in entries if entry.kind not in (Kind.DECISION, Kind.RELEASE, Kind.TRIGGER)]
    return ReleaseView(
        decision=Decision.model_validate(decision.data),
        decided=decision.time,
        steps=tuple(
            StepView(step_of(entry.key), entry.reason, entry.sentence, entry.data.get("seconds"), entry.time)
            for entry in steps
        ),
        closing=closings[-1] if closings and not waits(entries) else None,
        entries=tuple(entries),
        traffic=traffic,
        drifts=drifts or {},
        rehearsal=rehearsal,
    )


def print_release(view: ReleaseView, zone: ZoneInfo) -> None:
    """Print a release for people."""
    decision, candidate = view.decision, view.decision.candidate
    facts = [
        ("release", f"{decision.release}  {view.outcome or (f'waits ({view.waits})' if view.waits else 'not ended')}"),
        ("decided", f"{local_time(view.decided, zone)} by {decision.actor}: {decision.reason}"),
        ("because", decision.sentence),
        ("asked", decision.request.reason),
        ("event", decision.cause.words if decision.cause else ""),
        ("model", f"{candidate.model.version}  sha256:{candidate.model.sha256}"),
        ("source", f"{candidate.source.commit}  {candidate.source.where}"),
        ("lock", _lock(candidate)),
        ("image", view.image or ""),
        ("before", decision.in_use or ""),
    ]
    for name, value in facts:
        if value:
            print(f"{name:<8} {value}")
    if view.steps:
        print()
        headings = ("STEP", "RESULT", "TOOK", "WHAT IT FOUND")
        table(headings, [(step.step, step.reason, seconds(step.seconds), step.sentence) for step in view.steps])
    if view.diffs:
        print()
        for line in diff_lines(view.diffs):
            print(line)
    if view.blame and view.blame.trials:
        print()
        table(("CODE", "MODEL", "TRIED"), [(one.code, one.model, _tried(one)) for one in view.blame.trials])
    if view.closing:
        took = f", {seconds(view.total_seconds)} after the decision" if view.total_seconds is not None else ""
        print(f"\n{local_time(view.closing.time, zone)}{took}: {view.closing.sentence}")
    for name, now in view.traffic.items():
        print(f"{name:<11}{traffic_line(now)}{drift_line(view.drifts.get(name, ()), zone)}")
    if tried := rehearsal_line(view.rehearsal, str(decision.release), zone, SystemClock().now()):
        print(f"{'rehearsed':<11}{tried}")


def _tried(trial: Trial) -> str:
    how = {True: "passes", False: "fails", None: "could not be tried"}[trial.passed]
    return f"{how}: {trial.sentence}" if trial.sentence else how


def _lock(candidate: Candidate) -> str:
    lock = candidate.lock
    return f"{lock.number}  sha256:{lock.sha256}, {len(lock.packages)} packages" if lock else ""


def drift_line(drifts: Sequence[OpenDrift], zone: ZoneInfo) -> str:
    """What was changed there by hand, as a sentence's end; empty for nothing."""
    if not drifts:
        return ""
    more = f" (and {len(drifts) - 1} more)" if len(drifts) > 1 else ""
    return f"; drift since {local_time(drifts[0].since, zone)}: {drifts[0].sentence}{more}"


def traffic_line(now: Traffic) -> str:
    """What an environment's users get now, as a sentence's end."""
    if now.release is None:
        return "serves nothing now"
    if now.trouble:
        return f"still serves {now.release}, which is to be taken out of use; that failed: {now.trouble}"
    if now.withdrawing is not None:
        return f"still serves {now.release}, which is being taken out of use"
    share = f"; {now.canary.words}" if now.canary and now.canary.stands else ""
    return f"serves {now.release} now" + ("" if now.verified else ", which is not verified yet") + share
