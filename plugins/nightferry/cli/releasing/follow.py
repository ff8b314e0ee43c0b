"""Follow a run: what Airflow says about its tasks, what the ledger says they found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nightferry.clients.airflow.api import Airflow, Run, TaskState
from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.barring.blame import BLAME
from nightferry.entities.fact_key import of_environment, step_of
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.release_steps import ROLL_OUT, expected_steps
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.traffic import Traffic
from nightferry.errors import Permanent, Temporary
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.state import read_state

SILENCE_SECONDS = 180.0
"""How long Airflow or the storage may be silent while a run is followed: a restart of either is no reason to leave."""

ASK_SECONDS = 2.0
"""How often Airflow is asked while the record has nothing new: its answer costs more than a look at the record."""
REST_FACTOR, REST_SECONDS = 5.0, 10.0
"""So many times as long as its last answer took Airflow is left alone, at most so many seconds: the more who follow a
release, the slower it answers, and the less often each of them asks."""
STIR_SECONDS = 1.5
"""How long after news on the record Airflow is asked at every look: tasks end and begin then."""


@dataclass(frozen=True)
class StepProgress:
    """A step as it stands now."""

    step: str
    state: str
    """waiting, queued, running, retrying, succeeded, failed, skipped (a decision not to release) or
    not_run (an earlier step failed)."""
    seconds: float | None
    found: str
    """The newest sentence that the record has about the step."""
    goes_on: bool = False
    """Whether that tells how far the step is: which share of the users it gave to the release."""


_STATES = {
    "success": "succeeded",
    "failed": "failed",
    "running": "running",
    "restarting": "running",
    "deferred": "running",
    "queued": "queued",
    "scheduled": "queued",
    "up_for_retry": "retrying",
    "up_for_reschedule": "retrying",
    "upstream_failed": "not_run",
    "skipped": "skipped",
    "removed": "skipped",
}
_SHARES = {Reason.CANARY_SHIFTED, Reason.CANARY_PASSED}
_BUSY = {name for name, state in _STATES.items() if state in ("queued", "running", "retrying")}
_STEP_OF_KIND: dict[str, str] = {Kind.DECISION: "decide", Kind.RELEASE: "record"}


class Findings:
    """The ledger's entries about one run. Made before the run is started, it misses none."""

    def __init__(self, store: LedgerStore, service: str) -> None:
        self._store = store
        self._service = service
        self._chain = ledgers.Chain(store, service)
        self._next = self._chain.head.sequence + 1 if self._chain.head else 1
        self._key = ""
        self.entries: list[LedgerEntry] = []

    def of_run(self, run: str, *, look_back: bool) -> None:
        """Say which run it is about; `look_back`: it may have written already before this was made."""
        self._key = self._key_of(run)
        if not look_back:
            return
        older: list[LedgerEntry] = []
        for entry in self._chain:
            older.append(entry)
            if self._decides(entry) or len(older) >= ledgers.KEY_BOUND:
                break
        for entry in reversed(older):
            self._take(entry)

    def _key_of(self, run: str) -> str:
        """Under which key it is written what the run is about."""
        return f"run:{run}"

    @property
    def release(self) -> str | None:
        """The release that the run makes; None before it is decided and when there is none."""
        return self.decision.release if self.decision else None

    @property
    def decision(self) -> LedgerEntry | None:
        """What was decided; None before."""
        decisions = [entry for entry in self.entries if self._decides(entry)]
        return decisions[-1] if decisions else None

    @property
    def closed(self) -> bool:
        """Whether the record is complete: there is no release, or it has ended, or waits."""
        last = self.entries[-1] if self.entries else None
        return last is not None and (last.kind in (Kind.RELEASE, Kind.WAITING) or last.release is None)

    def whole(self) -> Sequence[LedgerEntry]:
        """All entries of the run's release, those of an earlier run that it goes on with too. Raises as
        `release_entries`."""
        decided = self.entries[0].kind == Kind.DECISION if self.entries else True
        return self.entries if decided else release_entries(self._store, str(self.release))

    def traffic(self) -> Mapping[str, Traffic]:
        """Which release each environment's users get now. Raises as `read_state`."""
        return read_state(self._store, self._service).traffic

    def read_on(self) -> bool:
        """Take in what was written since; whether there was something. Raises as `LedgerStore.read`."""
        first = self._next
        while True:
            name = LedgerEntry.name(self._service, self._next)
            try:
                content = self._store.read(name)
            except KeyError:
                return self._next > first
            self._take(ledgers.parse(name, content))
            self._next += 1

    def _decides(self, entry: LedgerEntry) -> bool:
        if entry.key == self._key:  # what was decided, or that a release goes on which waited
            return True
        return entry.kind == Kind.DECISION and entry.key.startswith(f"{self._key}/")

    def _take(self, entry: LedgerEntry) -> None:
        if self._decides(entry) or (entry.release and entry.release == self.release):
            self.entries.append(entry)


def progress_of(
    spec: ServiceSpec, tasks: Sequence[TaskState], entries: Sequence[LedgerEntry]
) -> tuple[StepProgress, ...]:
    """The steps of a release in their order, each with what Airflow and the record say."""
    of_airflow = {task.task: task for task in tasks}
    found: dict[str, LedgerEntry] = {}
    for entry in entries:
        step = _STEP_OF_KIND.get(entry.kind) or step_of(entry.key)
        if entry.kind == Kind.TRIGGER:
            step = "decide"
        elif entry.kind == Kind.WAITING:
            step = of_environment(str(entry.data.get("environment")), ROLL_OUT)
        if entry.reason in _SHARES:
            step = of_environment(str(entry.data.get("environment")), ROLL_OUT)
        found[step] = entry
    blamed = (BLAME,) if BLAME in found or (BLAME in of_airflow and of_airflow[BLAME].state in _BUSY) else ()
    names = ("decide", *expected_steps([environment.name for environment in spec.environments]), *blamed, "record")
    return tuple(step_progress(name, of_airflow.get(name), found.get(name)) for name in names)


def step_progress(name: str, task: TaskState | None, found: LedgerEntry | None) -> StepProgress:
    """A step as Airflow's task and the newest entry say."""
    state = _STATES.get(task.state or "", "waiting") if task else "waiting"
    if state in ("not_run", "skipped"):
        waits = found is not None and found.kind == Kind.WAITING
        return StepProgress(name, state, None, found.sentence if found and waits else "")
    # After a crash Airflow knows only its last try, which found everything done.
    recorded = found.data.get("seconds") if found and found.kind != Kind.RELEASE else None
    took = [value for value in (task.seconds if task else None, recorded) if value is not None]
    goes_on = found is not None and found.reason in _SHARES
    return StepProgress(name, state, max(took, default=None), found.sentence if found else "", goes_on)


class Follower:
    """Follows one run to its end."""

    def __init__(
        self, airflow: Airflow, dag: str, run: str, spec: ServiceSpec, findings: Findings, clock: Clock
    ) -> None:
        self._airflow = airflow
        self._dag = dag
        self._run = run
        self._clock = clock
        self._heard = self._stirred = clock.monotonic()
        self._asked = self._heard - ASK_SECONDS
        self._rest = 0.0
        self._tasks: list[TaskState] = []
        self.spec = spec
        self.findings = findings
        self.steps: tuple[StepProgress, ...] = self._progress([])
        self.run = Run(run, "queued")
        self.trouble = ""
        """What keeps it from seeing more, for people; empty when nothing does."""

    def look(self) -> bool:
        """Look once; whether the run has ended.

        Raises:
            Temporary: (airflow_unavailable, storage_unavailable) for longer than a restart takes.
            Permanent: (airflow_denied, storage_denied, ledger_broken, request_invalid: the run was deleted)
        """
        try:
            if self.findings.read_on():
                self._stirred = self._clock.monotonic()
            asks = self._is_time()
            if asks:
                began = self._clock.monotonic()
                # In this order: what a run that has ended wrote is on the record already.
                run = self._airflow.run(self._dag, self._run)
                self._tasks = self._airflow.tasks(self._dag, self._run) if run else []
                self._asked = self._clock.monotonic()
                self._rest = min(REST_FACTOR * (self._asked - began), REST_SECONDS)
                self.findings.read_on()
        except Temporary as fault:
            if self._clock.monotonic() - self._heard > SILENCE_SECONDS:
                raise
            self.trouble = fault.sentence
            return False
        if asks:
            if run is None:
                raise Permanent(Reason.REQUEST_INVALID, f"The run {self._run} was deleted in Airflow.")
            self.run = run
        self._heard, self.trouble = self._clock.monotonic(), ""
        since = self._heard - self._asked
        self.steps = self._progress([_aged(task, since) for task in self._tasks])
        return self.run.ended

    def _progress(self, tasks: Sequence[TaskState]) -> tuple[StepProgress, ...]:
        return progress_of(self.spec, tasks, self.findings.entries)

    def _is_time(self) -> bool:
        """Whether Airflow is to be asked too."""
        now = self._clock.monotonic()
        if now - self._asked < self._rest:
            return False
        return self.findings.closed or now - self._stirred <= STIR_SECONDS or now - self._asked >= ASK_SECONDS


def _aged(task: TaskState, seconds: float) -> TaskState:
    """The task so many seconds after Airflow told of it."""
    if task.state != "running" or task.seconds is None:
        return task
    return replace(task, seconds=task.seconds + seconds)
