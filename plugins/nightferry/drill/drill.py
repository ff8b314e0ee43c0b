"""Run faults, one after the other, on the trial copy of a service, with callers asking all the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait as await_future
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from nightferry.clients.service_client import Unanswered
from nightferry.drill.after import duplicates, is_back, orphans, wait
from nightferry.drill.callers import Callers, Traffic
from nightferry.drill.fault import Fault, Unseen
from nightferry.drill.trial import Trial
from nightferry.errors import NightferryError
from nightferry.steps.judging.questions import NoAnswer
from nightferry.steps.trial.clear import clear

BACK_SECONDS = 120.0
"""So long, and a start, a fault may take to be over once it was seen or taken away."""
ROLLOUT_SECONDS = 300.0
"""What a rollout that goes on beside may take to come to its end."""
MORE = 12
"""Requests before the fault, and that are answered rightly one after the other once it is over."""

PASSED, FAILED, NOT_TRIED = "passed", "failed", "not tried"


@dataclass
class Row:
    """What one fault came to."""

    fault: str
    says: str
    allowed: str
    result: str = NOT_TRIED
    why: str = ""
    """Why it was not tried, or failed; empty where it passed."""
    seen: str = ""
    """What was noticed, in the words of who noticed it."""
    asked: int = 0
    failed: int = 0
    wrong: int = 0
    wrong_seconds: float = 0.0
    production_asked: int = 0
    production_failed: int = 0
    production_failing_seconds: float = 0.0
    production_wrong: int = 0
    seconds_to_see: float | None = None
    seconds_to_be_back: float | None = None
    duplicates: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    """The first requests that failed, or were answered wrongly."""

    def to_json(self) -> dict[str, Any]:
        """For programs and the record."""
        return dict(vars(self))


class Production:
    """The users' service, asked meanwhile. `callers` makes callers of it; None: it cannot be asked from here."""

    def __init__(self, callers: Callable[[], Callers] | None, changed: Callable[[], bool]) -> None:
        self.callers, self.changed = callers, changed


class Drill:
    """A drill of one trial."""

    def __init__(
        self,
        trial: Trial,
        production: Production,
        say: Callable[[str], None],
        refuse_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            trial: the copy.
            production: what users have.
            say: is told how it goes.
            refuse_lost: raises where the trial namespace is another one's by now.
        """
        self._trial, self._production, self._say, self._refuse_lost = trial, production, say, refuse_lost
        self._start_seconds = 0.0

    def run(self, faults: Sequence[Fault], times: int = 1) -> list[Row]:
        """Try every fault, so many times; a row for each try.

        Raises:
            NightferryError: the trial copy does not even come up, or the turn was lost.
        """
        self._fresh()
        rows = []
        for _ in range(times):
            for fault in faults:
                self._refuse_lost()
                row = self._try(fault)
                rows.append(row)
                self._say(f"{row.fault}: {row.result}. {row.why or row.seen}".rstrip())
        return rows

    def _fresh(self) -> None:
        """An empty namespace, and the good release in it."""
        trial = self._trial
        clear(trial.doors.cluster, trial.service, trial.doors.clock)
        self._say("Bringing up a copy of the release in use.")
        begun = time.monotonic()
        plan = trial.decide()
        trial.roll_out(plan)
        trial.good = plan.release
        self._start_seconds = time.monotonic() - begun

    def _try(self, fault: Fault) -> Row:
        trial = self._trial
        row = Row(fault.name, fault.says, fault.allows.sentence)
        row.why = fault.refused(trial) or next(filter(None, map(trial.machine.refused, fault.parts)), "")
        if row.why:
            return row
        self._say(f"{fault.name}: {fault.says}")
        try:
            if not trial.good or not is_back(trial, trial.good):
                self._fresh()
            manifest, known = trial.known()
            address = trial.address()
        except (NightferryError, Unanswered, NoAnswer) as trouble:
            row.result, row.why = FAILED, f"The trial copy was not well before: {trouble}"
            return row
        with ExitStack() as asking:
            callers = asking.enter_context(Callers(address, manifest, known))
            users = asking.enter_context(self._production.callers()) if self._production.callers else None
            troubles = [] if callers.await_asked(MORE) else ["Callers were not answered before the fault."]
            troubles += self._injected(fault, row)
            troubles += self._still_wrong(callers, users)
        self._judge(fault, row, callers.traffic, users.traffic if users else None, troubles)
        if row.result == PASSED and fault.new:
            trial.good = trial.candidate
        elif row.result != PASSED:
            trial.good = ""  # the next one gets a fresh copy
        return row

    def _injected(self, fault: Fault, row: Row) -> list[str]:
        """Inject it, see it, heal it, and wait until everything is as it should be; what went wrong."""
        trial, troubles = self._trial, []
        begun = time.monotonic()
        try:
            fault.inject(trial)
            row.seen = fault.see(trial)
            row.seconds_to_see = round(time.monotonic() - begun, 1)
        except (Unseen, NightferryError, OSError) as unseen:
            troubles.append(str(unseen))
        finally:
            troubles += self._healed(fault, troubles)
        over = time.monotonic()
        wanted = trial.candidate if fault.new else trial.good
        if wait(trial, lambda: is_back(trial, wanted), BACK_SECONDS + self._start_seconds):
            row.seconds_to_be_back = round(time.monotonic() - over, 1)
        else:
            serves = ""
            with suppress(NightferryError):
                serves = f"; it is {trial.in_use() or 'none'}"
            troubles.append(f"{wanted} was not in use again within {BACK_SECONDS + self._start_seconds:.0f} s{serves}.")
        if trial.ongoing:
            await_future([trial.ongoing], ROLLOUT_SECONDS)
        return troubles

    def _healed(self, fault: Fault, troubles: list[str]) -> list[str]:
        """Take the fault away; what went wrong with that, where it was not said before."""
        try:
            fault.heal(self._trial)
        except (NightferryError, OSError) as trouble:
            return [] if str(trouble) in troubles else [str(trouble)]
        return []

    def _still_wrong(self, callers: Callers, users: Callers | None) -> list[str]:
        """Who is not answered rightly although it should be over."""
        troubles = [] if callers.await_right(MORE) else ["The copy's callers were not answered rightly again."]
        if users is not None and not self._production.changed() and not users.await_right(MORE):
            troubles.append("Production's users were not answered rightly again.")
        return troubles

    def _judge(self, fault: Fault, row: Row, seen: Traffic, users: Traffic | None, troubles: list[str]) -> None:
        row.asked, row.failed, row.wrong, row.words = seen.asked, seen.failed, seen.wrong, seen.words[:5]
        row.wrong_seconds = round(seen.wrongs.seconds, 1)
        try:
            row.duplicates, row.orphans = duplicates(self._trial), orphans(self._trial)
        except NightferryError as fault_:
            troubles.append(f"What is left could not be looked at: {fault_.sentence}")
        if seen.failed:
            troubles.append(f"{seen.failed} of {seen.asked} requests failed, and none may: {seen.words[0]}")
        if seen.wrong and seen.wrongs.seconds >= fault.allows.wrong_seconds:
            spread = f"{seen.wrong} answers were wrong, within {seen.wrongs.seconds:.1f} s"
            troubles.append(f"{spread}; allowed: {fault.allows.sentence}. {seen.words[0]}")
        troubles += [f"Done twice: {', '.join(row.duplicates)}."] if row.duplicates else []
        troubles += [f"Left behind: {', '.join(row.orphans)}."] if row.orphans else []
        if users is not None:
            troubles += self._judge_production(fault, row, users)
        row.result, row.why = (FAILED, " ".join(troubles)) if troubles else (PASSED, "")

    def _judge_production(self, fault: Fault, row: Row, users: Traffic) -> list[str]:
        if self._production.changed():  # other answers are right now
            return []
        row.production_asked, row.production_failed, row.production_wrong = users.asked, users.failed, users.wrong
        row.production_failing_seconds = round(users.failures.seconds, 1)
        troubles = [f"Production answered wrongly: {users.words[0]}"] if users.wrong else []
        if users.failed and users.failures.seconds >= fault.allows.production_seconds:
            spread = f"{users.failed} of {users.asked} requests of production failed, within"
            troubles.append(
                f"{spread} {users.failures.seconds:.1f} s; allowed: {fault.allows.sentence}. {users.words[0]}"
            )
        return troubles
